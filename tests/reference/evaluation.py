"""Values of the metrics by their reference implementations: pycocoevalcap (tokenizer, CIDEr-D, BLEU; needs
Java), pycocotools (COCO's twelve numbers, masks of polygons), shapely (quads) and jiwer (error rates), on
cases that a seed makes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
from pathlib import Path

import jiwer
import numpy as np
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from shapely.geometry import MultiPoint

TARGET = Path(__file__).resolve().parent.parent / "fixtures" / "eval" / "metrics.json"

CAPTIONS = """\
A man's hat (on the left) is red.
It's a dog; they're cats, and I don't know.
He can't, won't and cannot go. She's gonna stay!
A black-and-white photo of two half-eaten sandwiches...
A sign that says "STOP" next to a 'no parking' sign.
The U.S. flag at 5:30 p.m. near St. Louis
A 3-year-old boy/girl with 1,000 balloons, $5 and 10% off
Mr. Smith and J. Jones at 5th Ave. and Main St.
the dogs' balls and the boy's t-shirt
Rock 'n' roll in the '80s, the 1990's and at 5 o'clock
AT&T, R&B, black & white; Q&A
What is this?! Look!!
Two dogs --- one brown - one white -- play.
“Smart” quotes, it’s fine – really… £5, €6 and ½ cup
Visit www.example.com or mail me@example.com #1
a car parked at 12/25/2014, score 3.5 to 10:30
a woman wearing a {red} [blue] hat etc. on the beach
No. 5 is red; no. way
y'all gimme 'em, 'cause it's o'brien's
A close-up of a cell phone,a laptop and a mouse .
Hello world! a train is at the station.The end.
A street sign at 1st and C St. in the city. The sky is blue.
""".splitlines()

WORDS = "a the two red green small large man woman dog cat car bus on in next to with of sitting standing street table".split()
CATEGORIES = ["dog", "cat", "car"]


def sentence(rng: random.Random, near: str | None = None) -> str:
    words = near.split() if near else [rng.choice(WORDS) for _ in range(rng.randint(3, 12))]
    if near:
        words = [rng.choice(WORDS) if rng.random() < 0.25 else word for word in words]
        words = words[: rng.randint(2, len(words))] if rng.random() < 0.3 else words
    return " ".join(words)


def captions(rng: random.Random) -> dict:
    cases = []
    for _ in range(30):
        truth = sentence(rng)
        references = [sentence(rng, truth) for _ in range(rng.randint(1, 5))]
        cases.append({"hypothesis": sentence(rng, truth) if rng.random() < 0.9 else "", "references": references})
    gts = {i: case["references"] for i, case in enumerate(cases)}
    res = {i: [case["hypothesis"]] for i, case in enumerate(cases)}
    cider, cider_each = Cider().compute_score(gts, res)
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, bleu_each = Bleu(4).compute_score(gts, res)
    return {
        "cases": cases,
        "cider": float(cider),
        "cider_each": [float(score) for score in cider_each],
        "bleu": [float(score) for score in bleu],
        "bleu_each": [[float(score) for score in scores] for scores in zip(*bleu_each)],
    }


def detection(rng: random.Random, equal_scores: bool) -> dict:
    """Boxes in quarters of a pixel and in COCO's sizes, some of them crowds, some with an area of their own."""
    truths, detections = [], []
    quarter = lambda low, high: rng.randint(4 * low, 4 * high) / 4
    for image in range(1, rng.randint(1, 6) + 1):
        for _ in range(rng.randint(0, 6)):
            box = [quarter(0, 300), quarter(0, 300), quarter(5, 200), quarter(5, 200)]
            category = rng.choice(CATEGORIES)
            truths.append({"image": image, "category": category, "box": box})
            if rng.random() < 0.15:
                truths[-1]["isCrowd"] = True
            if rng.random() < 0.5:
                truths[-1]["area"] = round(box[2] * box[3] * rng.uniform(0.4, 1), 2)
            for _ in range(rng.choice([0, 1, 1, 1, 2, 12])):
                moved = [value + quarter(-8, 8) for value in box]
                moved[2:] = [max(side, 1) for side in moved[2:]]
                label = category if rng.random() < 0.85 else rng.choice(CATEGORIES)
                detections.append({"image": image, "category": label, "box": moved})
    rng.shuffle(detections)
    for found in detections:
        found["score"] = 1 if equal_scores else round(rng.random(), 2)
    return {"truths": truths, "detections": detections, "stats": stats(truths, detections)}


def stats(truths: list, detections: list) -> list:
    ids = {name: i + 1 for i, name in enumerate(CATEGORIES)}
    images = sorted({item["image"] for item in truths + detections})
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": image} for image in images],
        "categories": [{"id": i, "name": name} for name, i in ids.items()],
        "annotations": [
            {
                "id": i + 1,
                "image_id": truth["image"],
                "category_id": ids[truth["category"]],
                "bbox": truth["box"],
                "area": truth.get("area", truth["box"][2] * truth["box"][3]),
                "iscrowd": int(truth.get("isCrowd", False)),
            }
            for i, truth in enumerate(truths)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        results = [
            {"image_id": d["image"], "category_id": ids[d["category"]], "bbox": d["box"], "score": d["score"]}
            for d in detections
        ]
        evaluation = COCOeval(coco, coco.loadRes(results) if results else COCO(), "bbox")
        evaluation.params.imgIds = images
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]


def masks(rng: random.Random) -> list:
    """Pairs of masks of one or two polygons each, some of which leave the picture or cross themselves."""
    cases = []
    for _ in range(25):
        width, height = rng.randint(3, 60), rng.randint(3, 60)

        def polygons():
            around = lambda side: round(rng.uniform(-0.2 * side, 1.2 * side), 2)
            return [
                [coordinate for _ in range(rng.randint(3, 8)) for coordinate in (around(width), around(height))]
                for _ in range(rng.randint(1, 2))
            ]

        pair = [polygons(), polygons()]
        encoded = [coco_mask.merge(coco_mask.frPyObjects(one, height, width)) for one in pair]
        cases.append(
            {
                "width": width,
                "height": height,
                "polygons": pair,
                "sha256": [
                    hashlib.sha256(coco_mask.decode(one).tobytes(order="F")).hexdigest() for one in encoded
                ],
                "iou": float(coco_mask.iou([encoded[0]], [encoded[1]], [0])[0][0]),
            }
        )
    return cases


def quads(rng: random.Random) -> list:
    cases = []
    for _ in range(30):
        x, y, w, h = rng.uniform(0, 50), rng.uniform(0, 50), rng.uniform(5, 60), rng.uniform(5, 30)
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        pair = [[round(c + rng.uniform(-6, 6), 1) for corner in corners for c in corner] for _ in range(2)]
        hulls = [MultiPoint(np.reshape(quad, (4, 2))).convex_hull for quad in pair]
        iou = hulls[0].intersection(hulls[1]).area / hulls[0].union(hulls[1]).area
        cases.append({"quads": pair, "iou": float(iou)})
    return cases


def error_rates(rng: random.Random) -> dict:
    truths = [sentence(rng) for _ in range(20)]
    found = [sentence(rng, truth) for truth in truths]
    return {"truths": truths, "found": found, "cer": jiwer.cer(truths, found), "wer": jiwer.wer(truths, found)}


def main() -> None:
    rng = random.Random(20261122)
    tokenized = PTBTokenizer().tokenize({i: [{"caption": caption}] for i, caption in enumerate(CAPTIONS)})
    fixture = {
        "tokens": [{"caption": caption, "tokens": tokenized[i][0].split()} for i, caption in enumerate(CAPTIONS)],
        "captions": captions(rng),
        "detection": [detection(rng, i % 2 == 1) for i in range(16)],
        "masks": masks(rng),
        "quads": quads(rng),
        "error_rates": error_rates(rng),
    }
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(fixture, separators=(",", ":"), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
