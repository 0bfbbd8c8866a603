"""BERT-base of plain torch layers with random weights on the same GPU: eager, compiled, and each as a CUDA graph. The rows of bert.cpp. JSON lines.
  bert.py [SECONDS]     after so many no further variant is compiled
"""
import sys
import time

import torch
from torch import nn

from peer import device, device_seconds, host_seconds, on_gpu, recorded, row, synchronize, waited_for

give_up = time.perf_counter() + (float(sys.argv[1]) if len(sys.argv) > 1 else 1e9)
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


def rows(name, how, call, host_ids, ids):
    """`call` reads `ids`, which lie on the device."""

    def from_host():
        ids.copy_(host_ids, non_blocking=True)
        call()

    row(name, device_seconds(call), how)
    row(name + ", from ids to states waited for", host_seconds(waited_for(from_host), 51), how)


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
            rows(name, "eager as a CUDA graph", recorded(lambda: model(ids)).replay, host_ids, ids)
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
                rows(name, "compiled, as a CUDA graph", recorded(lambda: compiled(ids)).replay, host_ids, ids)
        except Exception as error:  # no compiler on this machine
            print("torch.compile does not work here:", str(error)[:300], file=sys.stderr)
            break
