"""The rows of products.cpp in PyTorch (cuBLAS, with f32 products in f32) on the same GPU. JSON lines."""
import torch

from peer import device_seconds, recorded, row

types = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


# Calls in a graph: its launch takes some 10 us, which are to be little of each.
calls_in_graph = 20


def measure(name, operations, size, call):
    seconds = device_seconds(call)
    row(name, seconds, operations=operations, size=size)
    if seconds < 1e-4:  # of shorter ones the host may be the limit
        graph = recorded(lambda: [call() for _ in range(calls_in_graph)])
        row(name, device_seconds(graph.replay) / calls_in_graph, "CUDA graph", operations=operations, size=size)


def matrix(rows, columns, dtype, transposed=False):
    values = torch.rand(*((columns, rows) if transposed else (rows, columns)), device="cuda").mul_(2).sub_(1).to(dtype)
    return values.t() if transposed else values


def product(name, m, k, n, ta=False, tb=False, label="", after=lambda x: x):
    a, b = matrix(m, k, types[name], ta), matrix(k, n, types[name], tb)
    suffix = f" {'NT'[ta]}{'NT'[tb]}" if ta or tb else ""
    measure(f"matmul {name}{label} {m}x{k}x{n}{suffix}", 2 * m * k * n, a.element_size() * (m * k + k * n + m * n), lambda: after(torch.mm(a, b)))


for n in (1024, 2048, 4096, 8192):
    for name in types:
        product(name, n, n, n)
    a, b = (torch.randint(-127, 127, (n, n), device="cuda", dtype=torch.int8) for _ in range(2))
    rows, columns = torch.full((n, 1), 0.5, device="cuda"), torch.full((1, n), 0.25, device="cuda")
    measure(f"matmul i8 {n}x{n}x{n}", 2 * n**3, 6 * n * n, lambda: torch._int_mm(a, b.t()))
    measure(f"matmul i8 scale per row and column {n}x{n}x{n}", 2 * n**3, 6 * n * n, lambda: torch._int_mm(a, b.t()) * rows * columns)
    if n == 4096:
        measure(f"matmul i8 {n}x{n}x{n} [k, n]", 2 * n**3, 6 * n * n, lambda: torch._int_mm(a, b))
for ta, tb in ((False, True), (True, False), (True, True)):
    for name in ("f32", "f16"):
        product(name, 4096, 4096, 4096, ta, tb)
for n in (4000, 4095):
    for name in ("f32", "f16"):
        product(name, n, n, n)
for name in ("f32", "f16"):
    product(name, 4096, 4096, 4096, label=" relu(2x+1)", after=lambda x: torch.relu(x * 2 + 1))
product("f16", 4096, 4096, 4096, label=" gelu", after=torch.nn.functional.gelu)
for rows in (1, 8):
    product("f16", rows, 4096, 16384, tb=True)
    product("f16", rows, 4096, 16384)
    product("f32", rows, 4096, 16384, tb=True)
for batch, heads, length, width in ((32, 12, 128, 64), (1, 12, 512, 64), (4, 16, 2048, 64)):
    q, k, v = (torch.rand(batch, heads, length, width, device="cuda", dtype=torch.float16) for _ in range(3))
    count = batch * heads * length
    measure(f"attention f16 {batch}x{heads}x{length}x{width}", 4 * count * length * width, 8 * count * width, lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v))
