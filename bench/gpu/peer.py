"""The method of the peers' programs, as measure.hpp has it for ours: time of many calls after the clocks have warmed up, one line of JSON per row."""
import json
import os
import time

import torch

os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asking does not start CUDA: execution.py measures its start

torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
on_gpu = torch.cuda.is_available()
device = "cuda" if on_gpu else "cpu"  # the CPU only shows that a program runs


def synchronize():
    if on_gpu:
        torch.cuda.synchronize()


def device_seconds(call, calls=None, warm_up=0.4):
    """Of one call on the device: the median of ten batches of so many calls (of 10 ms, at most 50 calls, where nothing is said)."""

    def batch(calls):
        if not on_gpu:
            return host_seconds(call, calls)
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) / 1e3 / calls

    batch(1)
    calls = calls or max(1, min(50, int(0.01 / batch(1))))
    warm = 0
    while warm < warm_up:
        warm += batch(calls) * calls
    return sorted(batch(calls) for _ in range(10))[5]


def host_seconds(call, turns):
    """Of one call by the host's clock: the median of so many."""
    times = []
    for _ in range(turns):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return sorted(times)[turns // 2]


def waited_for(call):
    """The call with what it started on the device."""

    def both():
        call()
        synchronize()

    return both


def recorded(call):
    """A CUDA graph of the call's kernels. They run a few times before: what they take at first is not part of it."""
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph


def row(name, seconds, how="", operations=0, size=0):
    line = {"bench": name, "peer": f"PyTorch {torch.__version__}{how and ', '}{how}", "seconds": seconds}
    if operations:
        line["teraops_per_second"] = operations / seconds * 1e-12
    if size:
        line["gigabytes_per_second"] = size / seconds * 1e-9
    print(json.dumps(line), flush=True)
