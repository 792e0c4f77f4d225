"""Answers of the bundled checkpoint by transformers: everything asked about 50 held-out pictures.

Writes tests/fixtures/nano/answers.json: by picture, task and text the token ids of the best of 3 beams, its
score, and the margin: by how much the beams that search kept were better than the next one, at the least. Where
that is no more than rounding, the answer is one of two.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import Florence2ForConditionalGeneration, LogitsProcessor

ROOT = Path(__file__).resolve().parents[2]
NANO = ROOT / "checkpoints" / "nano"
sys.path.insert(0, str(NANO))

from answers import prompt  # noqa: E402

OUTPUT = ROOT / "tests" / "fixtures" / "nano" / "answers.json"
PICTURES = 50
MAX_NEW_TOKENS = 96


def pixel_values(path: Path, side: int) -> torch.Tensor:
    """The processor's numbers: Pillow's bicubic, then float32 arithmetic."""
    picture = Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    scaled = (np.asarray(picture).astype(np.float64) * (1 / 255)).astype(np.float32)
    mean = np.array([0.485, 0.456, 0.406], np.float32)
    std = np.array([0.229, 0.224, 0.225], np.float32)
    return torch.from_numpy(((scaled - mean) / std).transpose(2, 0, 1).copy())[None]


class Margin(LogitsProcessor):
    """Watches a beam search; takes the scores after all rules, as they are added to those of the beams."""

    def __init__(self, beams: int):
        self.least = float("inf")
        self._beams = beams
        self._sums: dict[tuple[int, ...], float] = {}
        self._scores: dict[tuple[int, ...], torch.Tensor] = {}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        rows = [tuple(row) for row in input_ids.tolist()]
        sums = {row: self._sums[row[:-1]] + self._scores[row[:-1]][row[-1]].item() for row in rows} if self._sums else dict.fromkeys(rows, 0.0)
        self._sums, self._scores = sums, dict(zip(rows, scores.double()))
        together = torch.cat([sums[row] + own for row, own in self._scores.items()])
        best = together.topk(self._beams + 1).values
        self.least = min(self.least, (best[-2] - best[-1]).item())
        return scores


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(2)
    model = Florence2ForConditionalGeneration.from_pretrained(NANO, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = Tokenizer.from_file(str(NANO / "tokenizer.json"))
    settings = json.loads((NANO / "preprocessor_config.json").read_text())
    image = [tokenizer.token_to_id("<image>")] * settings["image_seq_length"]
    truth = (NANO / "heldout" / "truth.jsonl").read_text().splitlines()
    rows = []
    for line in map(json.loads, truth[:PICTURES]):
        pixels = pixel_values(NANO / "heldout" / line["file"], settings["size"]["width"])
        for question in line["prompts"]:
            task, text = question["task"], question.get("text")
            ids = torch.tensor([image + tokenizer.encode(prompt(task, text)).ids])
            margin = Margin(model.generation_config.num_beams)
            output = model.generate(
                input_ids=ids,
                logits_processor=[margin],
                attention_mask=torch.ones_like(ids),
                pixel_values=pixels,
                max_new_tokens=MAX_NEW_TOKENS,
                return_dict_in_generate=True,
                output_scores=True,
            )
            row = {"picture": line["file"], "task": task} | ({} if text is None else {"text": text})
            best = {"ids": output.sequences[0].tolist(), "score": output.sequences_scores[0].item()}
            rows.append(row | best | {"margin": margin.least})
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    OUTPUT.write_text(f'{{"max_new_tokens": {MAX_NEW_TOKENS}, "answers": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
