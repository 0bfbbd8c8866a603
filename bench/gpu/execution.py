"""The rows of execution.cpp in PyTorch on the same GPU. JSON lines."""
import json
import time

import torch

torch.backends.cuda.matmul.allow_tf32 = False
peer = "PyTorch " + torch.__version__


def row(name, seconds, size=0, how=""):
    print(json.dumps({"bench": name, "peer": peer + how, "seconds": seconds, "gigabytes_per_second": size / seconds * 1e-9}), flush=True)


def host_seconds(call, turns):
    times = []
    for _ in range(turns):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return sorted(times)[turns // 2]


def synchronized(call):
    def both():
        call()
        torch.cuda.synchronize()

    return both


def device_seconds(call, calls, warm=0.5):
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

    def batch():
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) / 1e3 / calls

    until = time.perf_counter() + warm
    while time.perf_counter() < until:
        batch()
    return sorted(batch() for _ in range(10))[5]


def graph_of(work):
    """The kernels of work(), recorded once."""
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


# CUDA's own start is what a Vulkan device's creation is: the import of torch came before it.
a, b = torch.full((1024, 1024), 0.5, dtype=torch.float16), torch.full((1024, 1024), 0.25, dtype=torch.float16)
begin = time.perf_counter()
c = a.cuda() @ b.cuda()
torch.cuda.synchronize()
row("first matmul f16 1024, kernels on the disk, from the device's creation on", time.perf_counter() - begin)

x = torch.zeros(256, device="cuda")
row("one dispatch, handed over and waited for", host_seconds(synchronized(lambda: x.add_(1)), 3000))
row("a dispatch that waits for the one before, on the device", device_seconds(lambda: x.add_(1), 1000))
chain = graph_of(lambda: [x.add_(1) for _ in range(1000)])
row("a dispatch that waits for the one before, on the device", device_seconds(chain.replay, 1) / 1000, how=", CUDA graph")

for size in (1 << 20, 1 << 28):
    name = f"{size >> 20} MiB"
    ordinary, pinned, there = torch.ones(size, dtype=torch.uint8), torch.ones(size, dtype=torch.uint8).pin_memory(), torch.empty(size, dtype=torch.uint8, device="cuda")
    turns = 9 if size > 1 << 24 else 101
    row(f"host to device {name}, ordinary memory", host_seconds(synchronized(lambda: there.copy_(ordinary)), turns), size)
    row(f"device to host {name}, ordinary memory", host_seconds(synchronized(lambda: ordinary.copy_(there)), turns), size)
    row(f"host to device {name}, imported memory", host_seconds(synchronized(lambda: there.copy_(pinned)), turns), size, ", pinned")
    row(f"device to host {name}, imported memory", host_seconds(synchronized(lambda: pinned.copy_(there)), turns), size, ", pinned")
size = 64 << 20
pinned, there = torch.ones(size, dtype=torch.uint8).pin_memory(), torch.empty(size, dtype=torch.uint8, device="cuda")
row("host to device, 64 MiB of staging memory", device_seconds(lambda: there.copy_(pinned, non_blocking=True), 8, 0.1), size, ", pinned")
row("device to host, 64 MiB of staging memory", device_seconds(lambda: pinned.copy_(there, non_blocking=True), 8, 0.1), size, ", pinned")

# Recorded, so that Python's own time is in neither figure.
products, side = 500, 512


class Tenant:
    def __init__(self):
        self.a = torch.rand(side, side, device="cuda")
        self.b, self.c = self.a.clone(), torch.empty_like(self.a)
        self.stream = torch.cuda.Stream()
        self.graph = graph_of(self.work)

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
row(f"one tenant, {what}", host_seconds(synchronized(first.start), 15), how=", CUDA graph")
row(f"two tenants on two queues, each {what}", host_seconds(synchronized(lambda: (first.start(), second.start())), 15), how=", CUDA graphs on two streams")
