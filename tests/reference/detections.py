"""COCO's twelve figures by pycocotools of what `florence2 label` found on the held-out images.

    florence2 label checkpoints/nano/heldout --task od --nms none --format coco --device cpu --out FOLDER
    tests/reference/run detections FOLDER

Prints them; `florence2 evaluate --task "<OD>"` has to give the same.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from pathlib import Path

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HELD_OUT = Path(__file__).resolve().parents[2] / "checkpoints" / "nano" / "heldout" / "truth.jsonl"
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def truth(numbers: dict[str, int], categories: list[dict]) -> dict:
    """The held-out truth in COCO's form, with the numbers of images and of classes that the run gave."""
    classes = {category["name"]: category["id"] for category in categories}
    annotations, images = [], []
    for line in HELD_OUT.read_text().splitlines():
        entry = json.loads(line)
        if entry["file"] not in numbers:
            continue
        image = numbers[entry["file"]]
        images.append({"id": image, "width": entry["width"], "height": entry["height"]})
        things = next(prompt["truth"] for prompt in entry["prompts"] if prompt["task"] == "<OD>")
        for (x1, y1, x2, y2), label in zip(things["boxes"], things["labels"]):
            category = classes.setdefault(label, max(classes.values(), default=0) + 1)
            w, h = x2 - x1, y2 - y1
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": category, "bbox": [x1, y1, w, h], "area": w * h, "iscrowd": 0}
            )
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in classes.items()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    annotations = parser.parse_args().folder / "annotations"
    written = json.loads((annotations / "instances.json").read_text())
    numbers = {image["file_name"]: image["id"] for image in written["images"]}
    with contextlib.redirect_stdout(io.StringIO()):
        wanted = COCO()
        wanted.dataset = truth(numbers, written["categories"])
        wanted.createIndex()
        evaluation = COCOeval(wanted, wanted.loadRes(str(annotations / "results.json")), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    print(f"{len(numbers)} images")
    for name, figure in zip(NAMES, evaluation.stats):
        print(f"{name:6} {figure:.4f}")


if __name__ == "__main__":
    main()
