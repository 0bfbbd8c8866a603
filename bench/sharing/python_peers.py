#!/usr/bin/env python3
"""Adds to rows of bench/sharing what PyTorch and the safetensors loader take in Python, on the same files, for the rows that have a counterpart.

python_peers.py ROWS FOLDER [--quick]      ROWS as `sharing FOLDER` printed them; prints them again, with more contestants where they can be had.
A call from Python costs some 50 ns by itself: the rows in nanoseconds say what a Python program pays, not what PyTorch's C++ core takes.
"""
import json
import pathlib
import statistics
import sys
import time

try:
    import torch
    import torch.multiprocessing
except ImportError:
    torch = None
try:
    import safetensors
except ImportError:
    safetensors = None

ROUNDS = 9 if "--quick" in sys.argv else 31


def once(operation, rounds=ROUNDS):
    """Median seconds of one call; the first, which warms up, does not count."""
    times = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        kept = operation()
        times.append(time.perf_counter() - begin)
        del kept
    return statistics.median(times[1:])


def often(operation, count=20_000):
    def loop():
        for _ in range(count):
            operation()
    return once(loop, min(ROUNDS, 11)) / count


def handles():
    tensor = torch.zeros(1, 384)
    names = {f"layer.{i}.weight": torch.zeros(16) for i in range(100)}
    names["text_embedding"] = tensor
    return {
        ("handles", "copy of a handle"): ("PyTorch detach() (Python)", often(tensor.detach)),
        ("handles", "half of a tensor as a view"): ("PyTorch narrow() (Python)", often(lambda: tensor.narrow(1, 0, 192))),
        ("handles", "get by name, release"): ("dict of PyTorch tensors (Python)", often(lambda: names["text_embedding"])),
    }


def opening(folder):
    framework = "pt" if torch else "np"
    if torch:
        from safetensors.torch import load_file
    else:
        from safetensors.numpy import load_file
    found = []
    for shape, name in (("90 MB, 100 tensors", "90MB"), ("5 GB (sparse), 200 tensors", "5GB")):
        path = str(folder / name / "model.safetensors")
        found.append((("opening", shape), ("safetensors safe_open (Python)", once(lambda: safetensors.safe_open(path, framework)))))
        if name == "90MB" or torch:  # NumPy's copies all of it
            found.append((("opening", shape), ("safetensors load_file (Python)", once(lambda: load_file(path), min(ROUNDS, 9)))))
    return found


def take(requests, results, rounds):
    """The other process: asks for the model again and again."""
    times = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        requests.put(True)
        tensors = results.get()
        total = sum(float(tensor[0, 0]) for tensor in tensors.values())
        times.append(time.perf_counter() - begin)
        del tensors, total
    requests.put(statistics.median(times[1:]))


def attaching():
    context = torch.multiprocessing.get_context("spawn")
    tensors = {f"layer.{i}.weight": torch.ones(225, 1000).share_memory_() for i in range(100)}
    requests, results = context.Queue(), context.Queue()
    other = context.Process(target=take, args=(requests, results, min(ROUNDS, 9)))
    other.start()
    try:
        while (answer := requests.get(timeout=120)) is True:
            results.put(tensors)
        return answer
    finally:
        other.join(20)
        if other.is_alive():
            other.terminate()


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    rows = [json.loads(line) for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]
    peers = [row["peer"] for row in rows if "peer" in row]
    rows = [row for row in rows if "peer" not in row]
    folder = pathlib.Path(sys.argv[2])
    found = []
    if torch:
        torch.set_num_threads(1)
        peers.append(f"PyTorch {torch.__version__}, from Python {sys.version.split()[0]}")
        found += handles().items()
        seconds = attaching()
        found += [(("attaching", row["shape"]), ("PyTorch shared memory (Python)", seconds)) for row in rows if row["section"] == "attaching"]
    else:
        print(f"PyTorch is not installed for {sys.executable}: its rows are left out (pip install torch, or COTENANT_BENCH_PYTHON=PYTHON names one that has it)", file=sys.stderr)
    if safetensors:
        peers.append(f"safetensors {safetensors.__version__}, from Python {sys.version.split()[0]}")
        found += opening(folder)
    else:
        print(f"safetensors is not installed for {sys.executable}: its rows are left out (pip install safetensors numpy)", file=sys.stderr)
    for peer in peers:
        print(json.dumps({"peer": peer}))
    for row in rows:
        for key, (name, seconds) in found:
            if key == (row["section"], row["shape"]):
                row["seconds"][name] = seconds
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
