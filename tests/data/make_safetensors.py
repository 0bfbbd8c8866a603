"""Makes tests/data/safetensors with the Python package `safetensors`: what another writer's files look like.

    python make_safetensors.py            # needs numpy, torch, safetensors
    python make_safetensors.py --read DIR # checks that the package reads every *.safetensors that cotenant wrote to DIR
                                          # (tests/files/safetensors_writer.cpp keeps them where COTENANT_KEEP_FILES says)

The tests need only the files, not this script.
"""
import json
import pathlib
import struct
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent / "safetensors"


def tensors():
    """Element i of every tensor is i - 3 (as a bool: i is odd; unsigned: i)."""
    def ramp(count, dtype):
        return (torch.arange(count) - (0 if dtype in (torch.uint8, torch.uint16) else 3)).to(dtype)
    return {
        "f32": ramp(12, torch.float32).reshape(3, 4),
        "f16": ramp(6, torch.float16).reshape(2, 1, 3),
        "bf16": ramp(5, torch.bfloat16),
        "i8": ramp(7, torch.int8),
        "u8": ramp(3, torch.uint8),
        "i32": ramp(4, torch.int32).reshape(2, 2),
        "i64": ramp(2, torch.int64),
        "bool": (torch.arange(9) % 2 == 1).reshape(3, 3),
        "f64": ramp(2, torch.float64),
        "u16": ramp(5, torch.uint16),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "name with \"quotes\", \\ and ünïcödé 😀": ramp(1, torch.float32),
    }


def main():
    here.mkdir(exist_ok=True)
    save_file(tensors(), here / "types.safetensors", metadata={"format": "pt", "note": "zwölf\n\"x\""})
    # As writers before 0.3 did it: no padding after the JSON, so the data section begins at an odd byte.
    values = struct.pack("<6f", *range(6)) + struct.pack("<3q", 7, 8, 9)
    for pad in range(8):
        header = json.dumps({"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
                             "b": {"dtype": "I64", "shape": [3], "data_offsets": [24, 48]}}).encode() + b" " * pad
        if (8 + len(header)) % 4 == 1:
            break
    (here / "unaligned.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + values)


def read(folder):
    expected = tensors()
    files = sorted(pathlib.Path(folder).glob("*.safetensors"))
    for path in files:
        with safe_open(path, "pt") as file:
            print(path.name, file.metadata(), list(file.keys()))
            for name in file.keys():
                if name in expected:
                    assert torch.equal(file.get_tensor(name), expected[name]), name
                    assert file.get_tensor(name).dtype == expected[name].dtype, name
    assert files, "no file there"


if __name__ == "__main__":
    read(sys.argv[2]) if sys.argv[1:2] == ["--read"] else main()
