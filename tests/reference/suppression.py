"""What torchvision's nms and batched_nms keep of random boxes."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torchvision.ops import batched_nms, nms

OUTPUT = Path(__file__).resolve().parents[1] / "fixtures" / "datasets" / "suppression.json"


def main() -> None:
    random = torch.Generator().manual_seed(7)
    cases = []
    for count in (1, 5, 40, 120):
        corners = torch.randint(0, 100, (count, 2), generator=random)
        sides = torch.randint(5, 60, (count, 2), generator=random)
        boxes = torch.cat([corners, corners + sides], 1).float()
        labels = torch.randint(0, 3, (count,), generator=random)
        # All scores differ: of equal ones torchvision keeps any.
        scores = torch.randperm(1000, generator=random)[:count].float() / 1000
        for iou in (0.3, 0.5, 0.7):
            cases.append(
                {
                    "boxes": boxes.int().tolist(),
                    "labels": labels.tolist(),
                    "scores": [round(score, 3) for score in scores.tolist()],
                    "iou": iou,
                    "agnostic": nms(boxes, scores, iou).tolist(),
                    "class": batched_nms(boxes, scores, labels, iou).tolist(),
                }
            )
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
