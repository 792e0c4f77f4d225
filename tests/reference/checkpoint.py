"""A model as transformers writes it, config.json and model.safetensors: tests/reference/run checkpoint SOURCE FOLDER

SOURCE is a checkpoint folder, or base or large for the weights of weights.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import Florence2ForConditionalGeneration

import build


def save(source: str, folder: Path) -> Florence2ForConditionalGeneration:
    if source in ("base", "large"):
        model = build.build(getattr(build, source.upper()))
    else:
        model = Florence2ForConditionalGeneration.from_pretrained(
            source, dtype=torch.float32, attn_implementation="eager"
        ).eval()
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    return model


if __name__ == "__main__":
    save(sys.argv[1], Path(sys.argv[2]))
