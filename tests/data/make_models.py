"""Makes the encoders of tests/data/models whose names end in -odd, -bf16, -f16 and -legacy, and tests/data/unsupported/gpt2.

    python make_models.py    # needs torch, transformers, safetensors

Each is a directory as save_pretrained writes it, with random weights, and golden.safetensors: inputs in.* and the outputs
out.* of transformers in eval mode. Sizes are odd on purpose: nothing divides by 8, masks have holes in the middle.
The tests need only the files, not this script.
"""
import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers import (BertConfig, BertForMaskedLM, BertModel, DistilBertConfig, DistilBertForSequenceClassification, GPT2Config, GPT2Model,
                          RobertaConfig, RobertaForSequenceClassification)

here = pathlib.Path(__file__).parent / "models"


def randomize(model):
    """Trained models have neither zero biases nor gains of one: an encoder that ignored them should not pass."""
    for name, parameter in model.named_parameters():
        spread = 0.2 if parameter.dim() == 1 else 1.5 / parameter.shape[-1] ** 0.5
        parameter.data = torch.randn(parameter.shape) * spread + (1 if "norm" in name.lower() and name.endswith("weight") else 0)


def golden(model, encoder, folder, batch, length, vocabulary, padding, holes, types=False):
    ids = torch.randint(3, vocabulary, (batch, length))
    mask = torch.ones(batch, length, dtype=torch.long)
    for row, first, last in holes:
        mask[row, first:last] = 0
        ids[row, first:last] = padding
    inputs = {"input_ids": ids, "attention_mask": mask}
    if types:
        inputs["token_type_ids"] = torch.randint(0, 2, (batch, length))
    with torch.no_grad():
        output = encoder(**inputs, output_hidden_states=True)
    last = output.last_hidden_state
    weights = mask.unsqueeze(-1).float()
    mean = (last * weights).sum(1) / weights.sum(1)
    tensors = {"in." + name: value.to(torch.int32).contiguous() for name, value in inputs.items()}
    tensors.update({f"out.hidden.{i}": value.contiguous() for i, value in enumerate(output.hidden_states)})
    tensors["out.last_hidden_state"] = last.contiguous()
    tensors["out.mean_pooled_normalized"] = torch.nn.functional.normalize(mean, dim=-1)
    if getattr(output, "pooler_output", None) is not None:
        tensors["out.pooler_output"] = output.pooler_output
    save_file({name: value.clone() for name, value in tensors.items()}, folder / "golden.safetensors")


def make(name, model, encoder, dtype=None, **shape):
    folder = here / name
    shutil.rmtree(folder, ignore_errors=True)
    randomize(model)
    if dtype:
        # The weights as the file holds them; the reference computes in float32, as cotenant does.
        for parameter in model.parameters():
            parameter.data = parameter.data.to(dtype).float()
    model.eval()
    model.save_pretrained(folder)
    if dtype:
        tensors = load_file(folder / "model.safetensors")
        save_file({key: value.to(dtype) for key, value in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    golden(model, encoder, folder, vocabulary=model.config.vocab_size, padding=model.config.pad_token_id, **shape)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def main():
    torch.manual_seed(20)
    small = dict(hidden_dropout_prob=0, attn_implementation="eager")
    model = BertForMaskedLM(BertConfig(vocab_size=131, hidden_size=48, num_hidden_layers=3, num_attention_heads=6, intermediate_size=75,
                                       max_position_embeddings=23, hidden_act="gelu_new", layer_norm_eps=1e-5, **small))
    make("bert-odd", model, model.bert, batch=3, length=17, holes=[(0, 5, 9), (1, 0, 3), (2, 16, 17)], types=True)

    model = RobertaForSequenceClassification(RobertaConfig(vocab_size=97, hidden_size=35, num_hidden_layers=2, num_attention_heads=5, intermediate_size=51,
                                                           max_position_embeddings=21, type_vocab_size=1, hidden_act="silu", pad_token_id=1, num_labels=3, **small))
    make("roberta-odd", model, model.roberta, batch=3, length=19, holes=[(0, 7, 11), (1, 0, 6), (2, 1, 19)])

    model = DistilBertForSequenceClassification(DistilBertConfig(vocab_size=61, dim=21, n_layers=4, n_heads=3, hidden_dim=33, max_position_embeddings=9,
                                                                 activation="relu", num_labels=2, attn_implementation="eager"))
    make("distilbert-odd", model, model.distilbert, batch=1, length=9, holes=[(0, 3, 4)])

    for name, dtype in (("bf16", torch.bfloat16), ("f16", torch.float16)):
        model = BertModel(BertConfig(vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=40, max_position_embeddings=16, **small))
        make("bert-" + name, model, model, dtype, batch=2, length=11, holes=[(1, 4, 11)])

    model = BertModel(BertConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=20, max_position_embeddings=12, **small))
    folder = make("bert-legacy", model, model, batch=2, length=12, holes=[(0, 1, 2)], types=True)
    # As checkpoints converted from TensorFlow have them.
    tensors = {"bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
               for name, value in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o644)

    folder = here.parent / "unsupported" / "gpt2"
    folder.parent.mkdir(exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    model = GPT2Model(GPT2Config(vocab_size=10, n_embd=8, n_layer=1, n_head=2, n_positions=8)).eval()
    model.save_pretrained(folder)
    ids = torch.arange(6).reshape(1, 6)
    with torch.no_grad():
        save_file({"in.input_ids": ids.to(torch.int32), "out.last_hidden_state": model(ids).last_hidden_state}, folder / "golden.safetensors")
    for path in folder.iterdir():
        path.chmod(0o644)
    for path in sorted(here.iterdir()):
        print(path.name, json.loads((path / "config.json").read_text())["model_type"], sum(file.stat().st_size for file in path.iterdir()))


if __name__ == "__main__":
    main()
