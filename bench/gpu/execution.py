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


class Tenant:
    """A stream of its own with a chain of work(), recorded: Python's own time is in no figure."""

    def __init__(self, work):
        self.stream = torch.cuda.Stream()
        self.graph = recorded(work)

    def start(self):
        with torch.cuda.stream(self.stream):
            self.graph.replay()


def tenants(what, chain):
    first, second = Tenant(chain()), Tenant(chain())
    device_seconds(first.graph.replay, 1)
    row(f"one tenant, {what}", host_seconds(waited_for(first.start), 15), how="CUDA graph")
    both = waited_for(lambda: (first.start(), second.start()))
    row(f"two tenants on two queues, each {what}", host_seconds(both, 15), how="CUDA graphs on two streams")


def products(count, side):
    a = torch.rand(side, side, device="cuda")
    turns = [a.clone(), torch.empty_like(a)]

    def work():
        for i in range(count):
            source, target = turns[i % 2], turns[(i + 1) % 2]
            torch.addmm(source, a, source, beta=0, alpha=0.01, out=target)

    return work


def softmaxes(count, columns):
    x = torch.rand(32, columns, device="cuda")

    def work():
        for _ in range(count):
            torch.softmax(x, -1, out=x)

    return work


tenants("500 dependent products of 512", lambda: products(500, 512))
for count, columns in ((300, 65536), (100, 262144)):
    tenants(f"{count} dependent softmaxes of 32 x {columns}", lambda: softmaxes(count, columns))
