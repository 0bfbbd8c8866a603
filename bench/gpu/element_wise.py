"""The rows of element_wise.cpp in PyTorch on the same GPU: eager, and compiled where torch.compile works. JSON lines."""
import json
import sys

import torch


def seconds(call):
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    times = []
    for turn in range(14):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(20):
            call()
        end.record()
        torch.cuda.synchronize()
        if turn >= 4:  # the clocks warm up
            times.append(begin.elapsed_time(end) / 20e3)
    return sorted(times)[5]


def row(name, size, call, how=""):
    time = seconds(call)
    print(json.dumps({"bench": name, "peer": "PyTorch " + torch.__version__ + how, "seconds": time, "gigabytes_per_second": size / time * 1e-9}), flush=True)


n = int(sys.argv[1]) if len(sys.argv) > 1 else 1 << 26
a, b = torch.randn(n, device="cuda"), torch.randn(n, device="cuda")
out, half = torch.empty_like(a), torch.empty(n, device="cuda", dtype=torch.float16)
row("relu(a*b+1) f32", 12 * n, lambda: torch.relu(a * b + 1))
row("gelu f32", 8 * n, lambda: torch.nn.functional.gelu(a))
row("exp f32", 8 * n, lambda: torch.exp(a, out=out))
row("tanh f32", 8 * n, lambda: torch.tanh(a, out=out))
row("cast f32 to f16", 6 * n, lambda: half.copy_(a))
row("cast f16 to f32", 6 * n, lambda: out.copy_(half))
row("copy f32", 8 * n, lambda: out.copy_(a))
x, y = a.half(), b.half()
row("relu(a*b+1) f16", 6 * n, lambda: torch.relu(x * y + 1))
row("gelu f16", 4 * n, lambda: torch.nn.functional.gelu(x))
side = int(n**0.5) // 64 * 64
m, r, c = torch.randn(side, side, device="cuda"), torch.randn(side, device="cuda"), torch.randn(side, 1, device="cuda")
result, turned = torch.empty_like(m), torch.empty(side, side, device="cuda", dtype=torch.float16)
row("a + row f32", 8 * side * side, lambda: torch.add(m, r, out=result))
row("a + column f32", 8 * side * side, lambda: torch.add(m, c, out=result))
row("transposing copy f32", 8 * side * side, lambda: result.copy_(m.t()))
h = m.half()
row("transposing copy f16", 4 * side * side, lambda: turned.copy_(h.t()))
try:
    fused = torch.compile(lambda p, q: torch.relu(p * q + 1))
    row("relu(a*b+1) f32", 12 * n, lambda: fused(a, b), ", compiled")
except Exception as error:  # no compiler on this machine
    print("torch.compile does not work here:", str(error)[:200], file=sys.stderr)
