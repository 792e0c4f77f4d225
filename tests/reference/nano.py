"""Answers of the bundled checkpoint by transformers: 50 held-out pictures, the tasks it was trained on.

Writes tests/fixtures/nano/answers.json: by picture and task the token ids of the best of 3 beams and its
score.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import Florence2ForConditionalGeneration

ROOT = Path(__file__).resolve().parents[2]
NANO = ROOT / "checkpoints" / "nano"
OUTPUT = ROOT / "tests" / "fixtures" / "nano" / "answers.json"
PICTURES = 50
MAX_NEW_TOKENS = 64
PROMPTS = {
    "<CAPTION>": "What does the image describe?",
    "<OD>": "Locate the objects with category name in the image.",
    "<OCR>": "What is the text in the image?",
}


def pixel_values(path: Path, side: int) -> torch.Tensor:
    """The processor's numbers: Pillow's bicubic, then float32 arithmetic."""
    picture = Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    scaled = (np.asarray(picture).astype(np.float64) * (1 / 255)).astype(np.float32)
    mean = np.array([0.485, 0.456, 0.406], np.float32)
    std = np.array([0.229, 0.224, 0.225], np.float32)
    return torch.from_numpy(((scaled - mean) / std).transpose(2, 0, 1).copy())[None]


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(2)
    model = Florence2ForConditionalGeneration.from_pretrained(NANO, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = Tokenizer.from_file(str(NANO / "tokenizer.json"))
    settings = json.loads((NANO / "preprocessor_config.json").read_text())
    image = [tokenizer.token_to_id("<image>")] * settings["image_seq_length"]
    rows = []
    for index in range(PICTURES):
        name = f"{index:03d}.jpg"
        pixels = pixel_values(NANO / "heldout" / name, settings["size"]["width"])
        for task, prompt in PROMPTS.items():
            ids = torch.tensor([image + tokenizer.encode(prompt).ids])
            output = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                pixel_values=pixels,
                max_new_tokens=MAX_NEW_TOKENS,
                return_dict_in_generate=True,
                output_scores=True,
            )
            rows.append(
                {
                    "picture": name,
                    "task": task,
                    "ids": output.sequences[0].tolist(),
                    "score": output.sequences_scores[0].item(),
                }
            )
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    OUTPUT.write_text(f'{{"max_new_tokens": {MAX_NEW_TOKENS}, "answers": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
