"""Writes a BERT checkpoint as an ONNX graph, node by node as PyTorch exports it, so that ONNX Runtime computes with the same weights."""
import json
import pathlib
import struct

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


def read_safetensors(path):
    """The tensors of a .safetensors file of float32 (https://huggingface.co/docs/safetensors)."""
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        first, last = entry["data_offsets"]
        tensors[name] = numpy.frombuffer(data[8 + size + first : 8 + size + last], numpy.float32).reshape(entry["shape"])
    return tensors


class Graph:
    def __init__(self):
        self.nodes, self.initializers, self.count = [], [], 0

    def constant(self, name, array):
        self.initializers.append(numpy_helper.from_array(numpy.array(array, order="C"), name))
        return name

    def node(self, operator, *inputs, domain="", **attributes):
        self.count += 1
        output = f"{operator}_{self.count}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=f"node_{output}", domain=domain, **attributes))
        return output


def read_config(folder):
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    if config.get("model_type", "bert") != "bert" or config["hidden_act"] != "gelu":
        raise SystemExit(f"{folder} is no BERT with GELU")
    return config


def build(folder, path, fused=False):
    """Reads config.json and model.safetensors in `folder`, writes the model to `path`.

    fused: with ONNX Runtime's own operators for a whole attention, for residual and normalisation, for bias and GELU: what its
    optimizer for transformers (onnxruntime.transformers, which needs PyTorch) makes of such a graph.
    """
    folder, config = pathlib.Path(folder), read_config(folder)
    weights = {name.removeprefix("bert."): value for name, value in read_safetensors(folder / "model.safetensors").items()}
    hidden, heads, epsilon = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]
    head = hidden // heads
    graph = Graph()

    def scalar(name, value):
        return graph.constant(name, numpy.array(value, numpy.float32))

    def norm(x, name):
        return graph.node("LayerNormalization", x, graph.constant(name + ".weight", weights[name + ".weight"]),
                          graph.constant(name + ".bias", weights[name + ".bias"]), axis=-1, epsilon=epsilon)

    def linear(x, name):
        return graph.node("Add", bias(name), product(x, name))

    def ints(name, *values):
        return graph.constant(name, numpy.array(values, numpy.int64))

    split, merged = ints("split", 0, 0, heads, head), ints("merged", 0, 0, hidden)
    length = graph.node("Gather", graph.node("Shape", "input_ids"), graph.constant("one", numpy.array(1, numpy.int64)), axis=0)
    positions = graph.node("Slice", graph.constant("position_ids", numpy.arange(config["max_position_embeddings"], dtype=numpy.int64)[None]), ints("zero", 0),
                           graph.node("Unsqueeze", length, ints("axis_0", 0)), ints("axis_1", 1))
    table = {kind: graph.constant(f"embeddings.{kind}.weight", weights[f"embeddings.{kind}_embeddings.weight"]) for kind in ("word", "position", "token_type")}
    x = graph.node("Add", graph.node("Gather", table["word"], "input_ids"), graph.node("Gather", table["token_type"], "token_type_ids"))
    x = norm(graph.node("Add", x, graph.node("Gather", table["position"], positions)), "embeddings.LayerNorm")
    mask = graph.node("Unsqueeze", graph.node("Unsqueeze", "attention_mask", ints("axes_1", 1)), ints("axes_2", 2))
    mask = graph.node("Sub", scalar("one_f", 1.0), graph.node("Cast", mask, to=TensorProto.FLOAT))
    mask = graph.node("Mul", mask, scalar("lowest", numpy.finfo(numpy.float32).min))
    root, root2, half, one = scalar("root", head**0.5), scalar("root2", 2**0.5), scalar("half", 0.5), scalar("one_g", 1.0)

    def product(x, name):
        return graph.node("MatMul", x, graph.constant(name + ".weight", weights[name + ".weight"].T))

    def bias(name):
        return graph.constant(name + ".bias", weights[name + ".bias"])

    def fused_layer(x, layer, padding):
        names = [layer + "attention.self." + name for name in ("query", "key", "value")]
        weight = graph.constant(layer + "qkv.weight", numpy.concatenate([weights[name + ".weight"].T for name in names], 1))
        all_biases = graph.constant(layer + "qkv.bias", numpy.concatenate([weights[name + ".bias"] for name in names]))
        context = graph.node("Attention", x, weight, all_biases, padding, domain="com.microsoft", num_heads=heads)

        def add_and_norm(y, skip, name, normal):
            parameters = [graph.constant(f"{normal}.{kind}", weights[f"{normal}.{kind}"]) for kind in ("weight", "bias")]
            return graph.node("SkipLayerNormalization", product(y, name), skip, *parameters, bias(name), domain="com.microsoft", epsilon=epsilon)

        x = add_and_norm(context, x, layer + "attention.output.dense", layer + "attention.output.LayerNorm")
        inner = graph.node("BiasGelu", product(x, layer + "intermediate.dense"), bias(layer + "intermediate.dense"), domain="com.microsoft")
        return add_and_norm(inner, x, layer + "output.dense", layer + "output.LayerNorm")

    padding = graph.node("Cast", "attention_mask", to=TensorProto.INT32) if fused else None
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        if fused:
            x = fused_layer(x, layer, padding)
            continue

        def by_head(name, permutation):
            return graph.node("Transpose", graph.node("Reshape", linear(x, layer + "attention.self." + name), split), perm=permutation)

        query, key, value = by_head("query", [0, 2, 1, 3]), by_head("key", [0, 2, 3, 1]), by_head("value", [0, 2, 1, 3])
        scores = graph.node("Add", graph.node("Div", graph.node("MatMul", query, key), root), mask)
        context = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), value)
        context = graph.node("Reshape", graph.node("Transpose", context, perm=[0, 2, 1, 3]), merged)
        x = norm(graph.node("Add", linear(context, layer + "attention.output.dense"), x), layer + "attention.output.LayerNorm")
        inner = linear(x, layer + "intermediate.dense")
        gelu = graph.node("Add", graph.node("Erf", graph.node("Div", inner, root2)), one)
        gelu = graph.node("Mul", graph.node("Mul", inner, gelu), half)
        x = norm(graph.node("Add", linear(gelu, layer + "output.dense"), x), layer + "output.LayerNorm")

    graph.nodes[-1].output[0] = "last_hidden_state"
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in ("input_ids", "attention_mask", "token_type_ids")]
    outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "length", hidden])]
    model = helper.make_model(helper.make_graph(graph.nodes, "bert", inputs, outputs, graph.initializers), opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
