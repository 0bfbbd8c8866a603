"""Makes tests/data/rows/golden.safetensors: what torch and transformers give for attention, softmax, norms and rotary.

    python make_rows.py     # needs torch, transformers, safetensors

The tests need only the file, not this script.
"""
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers.models.gpt_neox.modeling_gpt_neox import apply_rotary_pos_emb as neox_rotary
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb as gptj_rotary
from transformers.models.llama.modeling_llama import LlamaRMSNorm

tensors = {}


def attention(name, heads, shared, queries, keys, depth, width, batch=2, mask=None, **options):
    q, k, v = torch.randn(batch, heads, queries, depth), torch.randn(batch, shared, keys, depth), torch.randn(batch, shared, keys, width)
    inputs = {"q": q, "k": k, "v": v}
    if mask is not None:
        inputs["mask"] = mask
    inputs["out"] = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=heads != shared, **options)
    tensors.update({f"attention.{name}.{key}": value for key, value in inputs.items()})


def main():
    torch.manual_seed(3)
    attention("plain", 2, 2, 5, 7, 6, 6)
    attention("wide", 1, 1, 35, 150, 8, 5, batch=1, scale=0.7)  # more than one panel of queries and block of keys
    attention("groups", 6, 2, 3, 5, 4, 4)
    attention("one_query", 6, 3, 1, 9, 4, 4)
    attention("causal", 2, 2, 6, 6, 5, 5, is_causal=True)
    padding = torch.tensor([[True] * 7, [True] * 4 + [False] * 3]).reshape(2, 1, 1, 7)
    attention("padding", 2, 2, 4, 7, 5, 5, mask=padding)
    holes = torch.rand(2, 2, 4, 7) < 0.5
    holes[0, 1, 2] = False  # a query that may attend to nothing
    attention("holes", 2, 2, 4, 7, 5, 5, mask=holes)
    bias = torch.randn(4, 7)
    bias[1] = float("-inf")
    bias[2] = torch.finfo(torch.float32).min
    bias[3, 2:] = float("-inf")
    attention("bias", 2, 1, 4, 7, 5, 5, mask=bias)

    x = torch.randn(3, 37, 2) * 8
    tensors["softmax.x"] = x
    for axis in range(3):
        tensors[f"softmax.{axis}"] = F.softmax(x, axis)
        tensors[f"log_softmax.{axis}"] = F.log_softmax(x, axis)

    x, residual, scale, bias = torch.randn(3, 41) + 2, torch.randn(3, 41), torch.randn(41), torch.randn(41)
    norm = LlamaRMSNorm(41, eps=1e-3)
    norm.weight.data = scale
    tensors.update({"norm.x": x, "norm.residual": residual, "norm.scale": scale, "norm.bias": bias})
    tensors["norm.rms"] = norm(x).detach()
    tensors["norm.rms_residual"] = F.rms_norm(x + residual, [41], scale, 1e-3)
    tensors["norm.layer_residual"] = F.layer_norm(x + residual, [41], scale, bias, 1e-3)

    length, depth = 7, 12
    angles = torch.outer(torch.arange(length).float(), 10000 ** (-torch.arange(0, depth, 2).float() / depth))
    q = torch.randn(2, 3, length, depth)  # [batch, heads, length, depth]
    tensors["rotary.x"] = q
    both = torch.cat((angles, angles), -1)[None]
    tensors["rotary.halves"] = neox_rotary(q, q, both.cos(), both.sin())[0]
    tensors["rotary.neighbours"] = gptj_rotary(q.transpose(1, 2), angles.sin()[None], angles.cos()[None]).transpose(1, 2)
    part = 8  # rotary dimensions of GPT-NeoX's rotary_pct
    angles = torch.outer(torch.arange(length).float(), 10000 ** (-torch.arange(0, part, 2).float() / part))
    both = torch.cat((angles, angles), -1)[None]
    turned = neox_rotary(q[..., :part], q[..., :part], both.cos(), both.sin())[0]
    tensors["rotary.partial"] = torch.cat((turned, q[..., part:]), -1)

    path = pathlib.Path(__file__).parent / "rows" / "golden.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    path.chmod(0o644)
    print(len(tensors), "tensors,", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
