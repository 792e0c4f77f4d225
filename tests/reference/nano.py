"""Answers of the bundled checkpoint by transformers: everything asked about the first held-out pictures.

Writes predictions as `npm run eval -- --compare` reads them: by picture, task and text the tokens of the best of 3 beams, its
score, and the margin: by how much the beams that search kept were better than the next one, at the least. Where
that is no more than rounding, the answer is one of two.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import __version__ as version
from transformers import Florence2ForConditionalGeneration, LogitsProcessor

ROOT = Path(__file__).resolve().parents[2]
NANO = ROOT / "checkpoints" / "nano"
sys.path.insert(0, str(NANO / "training"))

from answers import prompt  # noqa: E402

OUTPUT = ROOT / "tests" / "fixtures" / "nano" / "answers.jsonl"
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


def line(value: dict) -> str:
    return json.dumps(value) + "\n"


@torch.no_grad()
def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--pictures", type=int, default=50)
    options.add_argument("--output", type=Path, default=OUTPUT)
    options.add_argument("--threads", type=int, default=2)
    options = options.parse_args()
    torch.set_num_threads(options.threads)
    model = Florence2ForConditionalGeneration.from_pretrained(NANO, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = Tokenizer.from_file(str(NANO / "tokenizer.json"))
    settings = json.loads((NANO / "preprocessor_config.json").read_text())
    image = [tokenizer.token_to_id("<image>")] * settings["image_seq_length"]
    truth = (NANO / "heldout" / "truth.jsonl").read_text().splitlines()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with open(options.output, "w", encoding="utf-8") as output:
        output.write(line({"model": NANO.name, "by": f"transformers {version}", "new tokens at most": MAX_NEW_TOKENS}))
        for picture in map(json.loads, truth[: options.pictures]):
            pixels = pixel_values(NANO / "heldout" / picture["file"], settings["size"]["width"])
            for question in picture["prompts"]:
                task, text = question["task"], question.get("text")
                ids = torch.tensor([image + tokenizer.encode(prompt(task, text)).ids])
                margin = Margin(model.generation_config.num_beams)
                found = model.generate(
                    input_ids=ids,
                    logits_processor=[margin],
                    attention_mask=torch.ones_like(ids),
                    pixel_values=pixels,
                    max_new_tokens=MAX_NEW_TOKENS,
                    return_dict_in_generate=True,
                    output_scores=True,
                )
                row = {"file": picture["file"], "task": task} | ({} if text is None else {"text": text})
                best = {"tokens": found.sequences[0].tolist(), "score": found.sequences_scores[0].item()}
                output.write(line(row | best | {"margin": margin.least}))


if __name__ == "__main__":
    main()
