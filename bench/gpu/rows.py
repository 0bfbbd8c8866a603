"""The rows of rows.cpp in PyTorch on the same GPU. JSON lines."""
import torch

from peer import device_seconds, row


def measure(name, size, call):
    row(name, device_seconds(call), size=size)


for name, dtype in (("f32", torch.float32), ("f16", torch.float16)):
    for rows, length in ((4096, 4096), (32768, 1024), (512, 50257), (16, 1 << 20), (1 << 20, 64)):
        x = torch.randn(rows, length, device="cuda", dtype=dtype)
        y = torch.empty_like(x)
        measure(f"softmax {rows}x{length} {name}", 2 * x.nbytes, lambda: torch.softmax(x, -1, out=y))
for name, dtype, rows, length in (("f32", torch.float32, 32768, 1024), ("f16", torch.float16, 16384, 4096)):
    x, scale, bias = torch.randn(rows, length, device="cuda", dtype=dtype), torch.randn(length, device="cuda", dtype=dtype), torch.randn(length, device="cuda", dtype=dtype)
    measure(f"layer_norm {rows}x{length} {name}", 2 * x.nbytes, lambda: torch.nn.functional.layer_norm(x, (length,), scale, bias))
x = torch.randn(16384, 4096, device="cuda")
measure("sum of rows 16384x4096 f32", x.nbytes, lambda: x.sum(1))
measure("sum of columns 16384x4096 f32", x.nbytes, lambda: x.sum(0))
measure("sum of all 16384x4096 f32", x.nbytes, lambda: x.sum())
measure("max of rows 16384x4096 f32", x.nbytes, lambda: x.amax(1))
x = torch.randn(16384, 8192, device="cuda")
measure("quantize f32 to i8", 5 * x.numel(), lambda: torch.quantize_per_tensor(x, 0.015, 0, torch.qint8))
q = torch.quantize_per_tensor(x, 0.015, 0, torch.qint8)
measure("dequantize i8 to f32", 5 * x.numel(), lambda: q.dequantize())
table, indices = torch.randn(50000, 1024, device="cuda"), torch.arange(65536, device="cuda") * 7919 % 50000
measure("gather 65536 rows of 1024 f32", 8 * 65536 * 1024, lambda: torch.nn.functional.embedding(indices, table))
x = torch.randn(256, 128256, device="cuda")
measure("argmax 256x128256 f32", x.nbytes, lambda: x.argmax(1))
measure("top 50 of 256x128256 f32", x.nbytes, lambda: x.topk(50))
