"""Files by torch.save, for the reader of pytorch_model.bin: python tests/reference/pytorch.py

Writes tests/fixtures/pytorch/:

    state.bin               a state_dict of every dtype, with shared storages, views and a parameter
    state.safetensors       the same tensors, each by itself: what the reader must give
    sharded/                the same in several files with their index, by huggingface_hub
    module.bin, nested.bin, legacy.bin, protocol4.bin, sparse.bin
                            other things that torch.save can write, which the reader refuses
"""

from __future__ import annotations

import shutil
from collections import OrderedDict
from pathlib import Path

import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "pytorch"
DTYPES = [
    torch.float32, torch.float16, torch.bfloat16, torch.float64,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


def state_dict() -> OrderedDict:
    """What a module's state_dict() may hold, its _metadata included."""
    model = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.BatchNorm1d(3)).half()
    state = model.state_dict()
    for dtype in DTYPES:
        state[f"dtype.{str(dtype).removeprefix('torch.')}"] = (torch.arange(7) - 3).to(dtype)
    table = torch.randn(6, 4)
    state["table"] = table
    state["tied"] = table
    state["rows 2 to 4"] = table[2:4]
    state["turned"] = table.t()
    state["column"] = table[:, 1]
    state["channels last"] = torch.randn(2, 3, 2, 2).to(memory_format=torch.channels_last)
    state["parameter"] = torch.nn.Parameter(torch.randn(2, 2))
    state["scalar"] = torch.tensor(1.5)
    state["empty"] = torch.empty(3, 0, 2)
    state["Ünicode"] = torch.zeros(1)
    state["long offset"] = torch.arange(300, dtype=torch.int16)[260:]
    return state


def main() -> None:
    torch.manual_seed(0)
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "sharded").mkdir(parents=True)
    state = state_dict()
    torch.save(state, FOLDER / "state.bin")
    alone = {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}
    save_file(alone, FOLDER / "state.safetensors")
    weights = {name: tensor for name, tensor in alone.items() if tensor.dtype == torch.float32 and tensor.numel()}
    weights["tied"] = weights["table"]
    save_torch_state_dict(weights, FOLDER / "sharded", safe_serialization=False, max_shard_size=100)

    torch.save(torch.nn.Linear(2, 2), FOLDER / "module.bin")
    torch.save({"state_dict": {"a": torch.ones(2)}, "epoch": 3}, FOLDER / "nested.bin")
    torch.save({"a": torch.ones(2)}, FOLDER / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({"a": torch.ones(2)}, FOLDER / "protocol4.bin", pickle_protocol=4)
    torch.save({"a": torch.eye(2).to_sparse()}, FOLDER / "sparse.bin")
    for path in FOLDER.rglob("*"):
        print(f"{path.relative_to(FOLDER)}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
