"""Measures whole encoders turn by turn with ONNX Runtime in one process: one line of JSON per row on the standard output.

models.py --library build/.../encoder.so --work FOLDER [--minilm FOLDER] [--threads 1,2] [--quick]
"""
import argparse
import ctypes
import json
import pathlib
import statistics
import sys
import time

import numpy
import onnxruntime

import graph


class Ours:
    """The encoder of encoder_c.cpp in one precision."""

    def __init__(self, library, folder, precision, hidden):
        self.library, self.hidden = library, hidden
        self.model = library.open_encoder(str(folder).encode(), precision.encode())
        if not self.model:
            raise SystemExit(f"cotenant cannot open {folder} in {precision}")

    def bind(self, ids, mask):
        self.out = numpy.empty((*ids.shape, self.hidden), numpy.float32)
        ids, mask = ids.astype(numpy.int32), mask.astype(numpy.int32)
        arguments = (self.model, ids.ctypes.data, mask.ctypes.data, ids.shape[0], ids.shape[1], self.out.ctypes.data)

        def call(forward=self.library.encoder_forward, keep=(ids, mask)):
            if not forward(*arguments):
                raise SystemExit("cotenant's forward failed")

        return call

    def close(self):
        self.library.close_encoder(self.model)


class Theirs:
    """A session of ONNX Runtime's CPU provider with all of its optimisations."""

    settle = 0.1  # seconds for its idle threads to stop spinning: more than they need alone, but there are several sessions

    def __init__(self, path, threads, hidden):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self.session, self.hidden = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), hidden

    def bind(self, ids, mask):
        self.out = numpy.empty((*ids.shape, self.hidden), numpy.float32)
        binding = self.session.io_binding()
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
        for argument in self.session.get_inputs():
            binding.bind_cpu_input(argument.name, inputs[argument.name])
        binding.bind_output("last_hidden_state", "cpu", 0, numpy.float32, self.out.shape, self.out.ctypes.data)
        return lambda keep=inputs: self.session.run_with_iobinding(binding)


def quantized(path):
    """The graph with its products in int8, scales of the activations found at run time; None where it cannot be had."""
    target = path.with_suffix(".int8.onnx")
    if target.exists():
        return target
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(str(path), str(target), weight_type=QuantType.QInt8, per_channel=True)
        return target
    except Exception as error:
        print(f"  onnxruntime.quantization is left out: {error}", file=sys.stderr)
        return None


def measure(calls, threads, rounds, batch):
    """Median seconds of each call, taken turn by turn; alone in this thread's own CPU time, else on the clock of the wall."""
    now = time.thread_time if threads == 1 else time.perf_counter
    times, repeats = [[] for _ in calls], [1] * len(calls)
    for turn in range(-1, rounds):
        for i, (call, settle) in enumerate(calls):
            # Untimed: brings back what the others pushed out of the caches, and threads that sleep, which a virtual machine takes milliseconds to wake.
            if turn < 0 or repeats[i] > 1 or threads > 1:
                warm = time.perf_counter()
                call()
                while threads > 1 and time.perf_counter() - warm < 0.010:
                    call()
            begin = now()
            for _ in range(repeats[i]):
                call()
            seconds = (now() - begin) / repeats[i]
            if turn < 0:
                repeats[i] = max(1, int(batch / seconds))
            else:
                times[i].append(seconds)
            if threads > 1:
                time.sleep(settle)
    return [statistics.median(each) for each in times]


def cosine(ours, theirs, mask):
    """The least cosine of the mean-pooled embeddings."""
    weight = mask[:, :, None].astype(numpy.float64)
    a, b = ((x * weight).sum(1) for x in (ours, theirs))
    return float(((a * b).sum(-1) / numpy.sqrt((a * a).sum(-1) * (b * b).sum(-1))).min())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="where graphs and the random checkpoint are kept")
    parser.add_argument("--minilm", help="all-MiniLM-L6-v2 as Hugging Face writes it")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)

    library = ctypes.CDLL(options.library)
    library.open_encoder.restype = ctypes.c_void_p
    library.close_encoder.argtypes = [ctypes.c_void_p]
    library.set_threads.argtypes = [ctypes.c_size_t]
    library.encoder_forward.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_size_t] * 2 + [ctypes.c_void_p]
    library.encoder_precisions.restype = ctypes.c_char_p
    precisions = library.encoder_precisions().decode().split(",")
    # What a precision is to reach against ONNX Runtime in f32, and the cosine of its embeddings to those.
    targets = {"f32": (1.2, 0.999999), "bf16": (2.0, 0.999), "int8": (3.0, 0.99)}

    bert = options.work / "bert-base-random"
    if not (bert / "config.json").exists() and not library.write_bert_base(str(bert).encode()):
        raise SystemExit("the random checkpoint could not be written")
    models = [("BERT-base", bert)]
    if options.minilm:
        models.insert(0, ("MiniLM-L6", pathlib.Path(options.minilm)))
    print(f"ONNX Runtime {onnxruntime.__version__}", file=sys.stderr)
    print(json.dumps({"peer": f"ONNX Runtime {onnxruntime.__version__}, CPU"}), flush=True)

    failures = 0
    random = numpy.random.default_rng(1)
    for name, folder in models:
        path = options.work / (name + ".onnx")
        fused = path.with_suffix(".fused.onnx")
        config = graph.read_config(folder)
        if not fused.exists():
            graph.build(folder, path)
            graph.build(folder, fused, fused=True)
        hidden = config["hidden_size"]
        graphs = [("ONNX Runtime", path), ("ONNX Runtime, fused", fused), ("ONNX Runtime, int8", quantized(path) if "int8" in precisions else None)]
        ours = [(precision, Ours(library, folder, precision, hidden)) for precision in precisions]
        for threads in map(int, options.threads.split(",")):
            library.set_threads(threads)
            theirs = [(label, Theirs(where, threads, hidden)) for label, where in graphs if where]
            for length in (16, 128, 512):
                ids = random.integers(1000, config["vocab_size"], (1, length), dtype=numpy.int64)
                mask = numpy.ones_like(ids)
                mask[:, length - length // 8 :] = 0  # some padding, as batches have
                runs = [(contestant.bind(ids, mask), 0.005) for _, contestant in ours] + [(contestant.bind(ids, mask), Theirs.settle) for _, contestant in theirs]
                large = hidden * length >= 768 * 128
                seconds = measure(runs, threads, (3 if large else 5) if options.quick else 15, 0.005 if options.quick else 0.05)
                full = {label: value for (label, _), value in zip(theirs, seconds[len(ours) :])}
                reference = next(session.out for label, session in theirs if "int8" not in label)
                for (precision, encoder), mine in zip(ours, seconds):
                    ratio, least = targets[precision]
                    alike = cosine(encoder.out, reference, mask)
                    peers = {label: value for label, value in full.items() if "int8" not in label or precision == "int8"}
                    shape = f"{name}, {length} tokens, {precision}"
                    # Against int8 of its own kind it is a contest without a target: that one is held against f32.
                    row = {"section": "models", "shape": shape, "threads": threads, "work": 0, "unit": "ms", "bound": "", "bound_work": 0, "target_ratio": ratio,
                           "target_share": 0, "either": False, "note": f"cosine {alike:.6f}", "seconds": {"cotenant": mine, **peers}, "errors": {"cosine": 1 - alike},
                           "target_peers": [label for label in full if "int8" not in label]}
                    if alike < least:
                        failures += 1
                        print(f"{shape}: the embeddings' cosine to ONNX Runtime's is {alike:.6f}, below {least}", file=sys.stderr)
                    print(json.dumps(row), flush=True)
                    print(f"models     {shape:44} {threads}  " + ", ".join(f"{label} {1e3 * value:.2f} ms" for label, value in row["seconds"].items()) + f", cosine {alike:.6f}",
                          file=sys.stderr)
        for _, encoder in ours:
            encoder.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
