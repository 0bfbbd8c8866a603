"""The rows of element_wise.cpp in PyTorch on the same GPU: eager, and compiled where torch.compile works. JSON lines."""
import sys

import torch

from peer import device_seconds, row


def measure(name, size, call, how=""):
    row(name, device_seconds(call), how, size=size)


n = int(sys.argv[1]) if len(sys.argv) > 1 else 1 << 26
a, b = torch.randn(n, device="cuda"), torch.randn(n, device="cuda")
out, half = torch.empty_like(a), torch.empty(n, device="cuda", dtype=torch.float16)
measure("relu(a*b+1) f32", 12 * n, lambda: torch.relu(a * b + 1))
measure("gelu f32", 8 * n, lambda: torch.nn.functional.gelu(a))
measure("exp f32", 8 * n, lambda: torch.exp(a, out=out))
measure("tanh f32", 8 * n, lambda: torch.tanh(a, out=out))
measure("cast f32 to f16", 6 * n, lambda: half.copy_(a))
measure("cast f16 to f32", 6 * n, lambda: out.copy_(half))
measure("copy f32", 8 * n, lambda: out.copy_(a))
x, y = a.half(), b.half()
measure("relu(a*b+1) f16", 6 * n, lambda: torch.relu(x * y + 1))
measure("gelu f16", 4 * n, lambda: torch.nn.functional.gelu(x))
side = int(n**0.5) // 64 * 64
m, r, c = torch.randn(side, side, device="cuda"), torch.randn(side, device="cuda"), torch.randn(side, 1, device="cuda")
result, turned = torch.empty_like(m), torch.empty(side, side, device="cuda", dtype=torch.float16)
measure("a + row f32", 8 * side * side, lambda: torch.add(m, r, out=result))
measure("a + column f32", 8 * side * side, lambda: torch.add(m, c, out=result))
measure("transposing copy f32", 8 * side * side, lambda: result.copy_(m.t()))
h = m.half()
measure("transposing copy f16", 4 * side * side, lambda: turned.copy_(h.t()))
try:
    fused = torch.compile(lambda p, q: torch.relu(p * q + 1))
    measure("relu(a*b+1) f32", 12 * n, lambda: fused(a, b), "compiled")
except Exception as error:  # no compiler on this machine
    print("torch.compile does not work here:", str(error)[:200], file=sys.stderr)
