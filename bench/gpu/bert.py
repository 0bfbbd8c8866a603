"""BERT-base of plain torch layers with random weights on the same GPU: eager, compiled, and each as a CUDA graph. The rows of bert.cpp. JSON lines.
  bert.py [SECONDS]     after so many no further variant is compiled
"""
import json
import sys
import time

import torch
from torch import nn

torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
give_up = time.perf_counter() + (float(sys.argv[1]) if len(sys.argv) > 1 else 1e9)
device = "cuda" if torch.cuda.is_available() else "cpu"  # the CPU only shows that this program runs
on_gpu = device == "cuda"
VOCABULARY, HIDDEN, LAYERS, HEADS, INNER, LENGTH = (30522, 768, 12, 12, 3072, 128) if on_gpu else (300, 64, 2, 4, 256, 16)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.after = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.wide, self.back = nn.Linear(HIDDEN, INNER), nn.Linear(INNER, HIDDEN)
        self.first_norm, self.second_norm = nn.LayerNorm(HIDDEN, eps=1e-12), nn.LayerNorm(HIDDEN, eps=1e-12)

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = (linear(x).view(batch, length, HEADS, HIDDEN // HEADS).transpose(1, 2) for linear in (self.query, self.key, self.value))
        context = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, HIDDEN)
        x = self.first_norm(self.after(context) + x)
        return self.second_norm(self.back(nn.functional.gelu(self.wide(x))) + x)


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.positions, self.types = nn.Embedding(VOCABULARY, HIDDEN), nn.Embedding(512, HIDDEN), nn.Embedding(2, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, ids):
        x = self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]] + self.types.weight[0])
        for layer in self.layers:
            x = layer(x)
        return x


def synchronize():
    if on_gpu:
        torch.cuda.synchronize()


def device_seconds(call):
    if not on_gpu:
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

    def batch(calls):
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) / 1e3 / calls

    batch(1)
    calls = max(1, min(50, int(0.01 / batch(1))))
    warm = 0
    while warm < 0.4:
        warm += batch(calls) * calls
    return sorted(batch(calls) for _ in range(10))[5]


def host_seconds(call, turns=51):
    times = []
    for _ in range(turns):
        begin = time.perf_counter()
        call()
        synchronize()
        times.append(time.perf_counter() - begin)
    return sorted(times)[turns // 2]


def rows(name, how, call, host_ids, ids):
    """`call` reads `ids`, which lie on the device."""

    def from_host():
        ids.copy_(host_ids, non_blocking=True)
        call()

    for label, seconds in ((name, device_seconds(call)), (name + ", from ids to states waited for", host_seconds(from_host))):
        print(json.dumps({"bench": label, "peer": f"PyTorch {torch.__version__}, {how}", "seconds": seconds}), flush=True)


def recorded(call):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


with torch.inference_mode():
    variants = []
    for type_name, dtype in (("f16", torch.float16), ("f32", torch.float32)):
        model = Bert().to(device=device, dtype=dtype).eval()
        for batch in (1, 32):
            host_ids = torch.randint(0, VOCABULARY, (batch, LENGTH))
            ids = host_ids.to(device)
            variants.append((f"BERT-base {type_name} {batch}x{LENGTH}", model, host_ids if not on_gpu else host_ids.pin_memory(), ids))
    for name, model, host_ids, ids in variants:
        rows(name, "eager", lambda: model(ids), host_ids, ids)
        if on_gpu:
            rows(name, "eager as a CUDA graph", recorded(lambda: model(ids)), host_ids, ids)
    for name, model, host_ids, ids in variants:
        if time.perf_counter() > give_up:
            print(f"{name} is not compiled: no time left", file=sys.stderr)
            continue
        try:
            begin = time.perf_counter()
            compiled = torch.compile(model, dynamic=False)
            compiled(ids)
            synchronize()
            print(f"{name}: compiled in {time.perf_counter() - begin:.1f} s", file=sys.stderr)
            rows(name, "compiled", lambda: compiled(ids), host_ids, ids)
            if on_gpu:
                rows(name, "compiled, as a CUDA graph", recorded(lambda: compiled(ids)), host_ids, ids)
        except Exception as error:  # no compiler on this machine
            print("torch.compile does not work here:", str(error)[:300], file=sys.stderr)
            break
