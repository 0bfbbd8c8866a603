"""The rows of execution.cpp in PyTorch on the same GPU. JSON lines."""
import time

import torch

from peer import device_seconds, host_seconds, recorded, row, waited_for


# CUDA's own start is what a Vulkan device's creation is: the import of torch came before it.
a, b = torch.full((1024, 1024), 0.5, dtype=torch.float16), torch.full((1024, 1024), 0.25, dtype=torch.float16)
begin = time.perf_counter()
c = a.cuda() @ b.cuda()
torch.cuda.synchronize()
row("first matmul f16 1024, kernels on the disk, from the device's creation on", time.perf_counter() - begin)

x = torch.zeros(256, device="cuda")
row("one dispatch, handed over and waited for", host_seconds(waited_for(lambda: x.add_(1)), 3000))
row("a dispatch that waits for the one before, on the device", device_seconds(lambda: x.add_(1), 1000))
chain = recorded(lambda: [x.add_(1) for _ in range(1000)])
row("a dispatch that waits for the one before, on the device", device_seconds(chain.replay, 1) / 1000, how="CUDA graph")

for size in (1 << 20, 1 << 28):
    name = f"{size >> 20} MiB"
    ordinary, pinned, there = torch.ones(size, dtype=torch.uint8), torch.ones(size, dtype=torch.uint8).pin_memory(), torch.empty(size, dtype=torch.uint8, device="cuda")
    turns = 9 if size > 1 << 24 else 101
    row(f"host to device {name}, ordinary memory", host_seconds(waited_for(lambda: there.copy_(ordinary)), turns), size=size)
    row(f"device to host {name}, ordinary memory", host_seconds(waited_for(lambda: ordinary.copy_(there)), turns), size=size)
    for ours in ("imported memory", "pinned tensor"):
        row(f"host to device {name}, {ours}", host_seconds(waited_for(lambda: there.copy_(pinned)), turns), "pinned", size=size)
        row(f"device to host {name}, {ours}", host_seconds(waited_for(lambda: pinned.copy_(there)), turns), "pinned", size=size)
size = 64 << 20
pinned, there = torch.ones(size, dtype=torch.uint8).pin_memory(), torch.empty(size, dtype=torch.uint8, device="cuda")
row("host to device, 64 MiB of staging memory", device_seconds(lambda: there.copy_(pinned, non_blocking=True), 8, 0.1), "pinned", size=size)
row("device to host, 64 MiB of staging memory", device_seconds(lambda: pinned.copy_(there, non_blocking=True), 8, 0.1), "pinned", size=size)

# Recorded, so that Python's own time is in neither figure.
products, side = 500, 512


class Tenant:
    def __init__(self):
        self.a = torch.rand(side, side, device="cuda")
        self.b, self.c = self.a.clone(), torch.empty_like(self.a)
        self.stream = torch.cuda.Stream()
        self.graph = recorded(self.work)

    def work(self):
        for i in range(products):
            target, source = (self.c, self.b) if i % 2 == 0 else (self.b, self.c)
            torch.addmm(source, self.a, source, beta=0, alpha=0.01, out=target)

    def start(self):
        with torch.cuda.stream(self.stream):
            self.graph.replay()


first, second = Tenant(), Tenant()
device_seconds(first.graph.replay, 1)
what = f"{products} dependent products of {side}"
row(f"one tenant, {what}", host_seconds(waited_for(first.start), 15), how="CUDA graph")
row(f"two tenants on two queues, each {what}", host_seconds(waited_for(lambda: (first.start(), second.start())), 15), how="CUDA graphs on two streams")
