"""Measure a checkpoint on pictures with known truth: detection, captions and reading.

    python checkpoints/nano/training/evaluate.py [--checkpoint FOLDER] [--pictures FOLDER]

Default decoding of the released models: 3 beams, no repeated token trigram.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import Florence2ForConditionalGeneration

import scenes
from answers import PROMPTS, items, plural
from pictures import normalised, resized

HERE = Path(__file__).parent.parent
PHRASE = re.compile(r"([^<]+)((?:<loc_\d+>)+)")
TASKS = ["<CAPTION>", "<OD>", "<OCR>"]
KINDS = {look.split()[-1] for look in scenes.LOOKS}
NAMED = {form: kind for kind in KINDS for form in (kind, plural(kind))}


def prompt_ids(tokenizer, task, image_tokens):
    """Input ids of a task: the image placeholders, then `<s>` prompt `</s>`."""
    image = [tokenizer.token_to_id("<image>")] * image_tokens
    return image + tokenizer.encode(PROMPTS[task]).ids


@torch.no_grad()
def answers(model, tokenizer, pixels, task, batch=25, **options):
    """The decoded answers of a task for uint8 pictures, without `<s>`, `</s>` and `<pad>`."""
    side = pixels.shape[1] // int(np.prod(model.config.vision_config.patch_stride))
    ids = torch.tensor([prompt_ids(tokenizer, task, 1 + side * side)])
    texts = []
    for start in range(0, len(pixels), batch):
        chunk = normalised(pixels[start : start + batch])
        inputs = ids.expand(len(chunk), -1)
        outputs = model.generate(
            input_ids=inputs,
            attention_mask=torch.ones_like(inputs),
            pixel_values=chunk,
            max_new_tokens=64,
            **options,
        )
        texts += [
            re.sub(r"</?s>|<pad>", "", tokenizer.decode(row, skip_special_tokens=False))
            for row in outputs.tolist()
        ]
    return texts


def parse_boxes(answer, width, height):
    """(label, box in pixels) pairs of an `<OD>` answer."""
    boxes = []
    for label, run in PHRASE.findall(answer):
        values = [int(k) + 0.5 for k in re.findall(r"\d+", run)]
        for i in range(0, len(values) - 3, 4):
            x1, y1, x2, y2 = values[i : i + 4]
            scaled = (x1 * width, y1 * height, x2 * width, y2 * height)
            boxes.append((label.strip(), [value / 1000 for value in scaled]))
    return boxes


def overlap(a, b):
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def average_precision(found, truth, label, threshold=0.5):
    """Average precision of a label; all answers have the same score and keep their order."""
    hits, total = [], 0
    for detections, things in zip(found, truth):
        free = [thing["box"] for thing in things if thing["label"] == label]
        total += len(free)
        for box in (box for name, box in detections if name == label):
            best = max(free, key=lambda other: overlap(box, other), default=None)
            hit = best is not None and overlap(box, best) >= threshold
            if hit:
                free.remove(best)
            hits.append(hit)
    if total == 0:
        return None
    recall = np.cumsum(hits) / total
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0) * precision))


def named_kinds(sentence):
    """The kinds that a caption names, in singular or plural."""
    return {NAMED[word] for word in re.findall(r"[a-z]+", sentence.lower()) if word in NAMED}


def edit_distance(a, b):
    """Levenshtein distance of two strings."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            cost = previous + (left != right)
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, cost)
    return row[-1]


def truths(scene):
    """The truths of a scene by task, of the tasks that are asked without a text."""
    return {task: truth for task, text, _, truth in items(scene) if text is None}


def measure(model, tokenizer, pixels, known, **options):
    """Figures of a model on pictures with known truths, and its answers by task."""
    given = {task: answers(model, tokenizer, pixels, task, **options) for task in TASKS}
    things = [
        [{"label": label, "box": box} for label, box in zip(t["<OD>"]["labels"], t["<OD>"]["boxes"])]
        for t in known
    ]
    found = [parse_boxes(answer, scenes.SIZE, scenes.SIZE) for answer in given["<OD>"]]
    precisions = [average_precision(found, things, kind) for kind in sorted(KINDS)]
    named = [
        named_kinds(answer) == {thing["label"] for thing in there}
        for answer, there in zip(given["<CAPTION>"], things)
    ]
    read = [(a, t["<OCR>"]) for a, t in zip(given["<OCR>"], known) if "<OCR>" in t]
    figures = {
        "map50": np.mean([value for value in precisions if value is not None]),
        "captions_right": np.mean(named),
        "character_error_rate": sum(edit_distance(*pair) for pair in read) / sum(len(t) for _, t in read),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}, given


def load_pictures(folder, side):
    """The pictures, as uint8 pixels of the input size, and truths of a folder with a truth.jsonl."""
    folder = Path(folder)
    lines = [json.loads(line) for line in (folder / "truth.jsonl").read_text("utf-8").splitlines()]
    known = [{p["task"]: p["truth"] for p in line["prompts"] if "text" not in p} for line in lines]
    return np.stack([resized(Image.open(folder / line["file"]), side) for line in lines]), known


def main():
    """Print the figures of a checkpoint as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default=HERE)
    parser.add_argument("--pictures", default=HERE / "heldout")
    parser.add_argument("--show", type=int, default=0, help="print this many answers of each task")
    options = parser.parse_args()
    torch.set_num_threads(2)
    model = Florence2ForConditionalGeneration.from_pretrained(options.checkpoint).float().eval()
    tokenizer = Tokenizer.from_file(str(Path(options.checkpoint) / "tokenizer.json"))
    settings = json.loads((Path(options.checkpoint) / "preprocessor_config.json").read_text())
    pixels, known = load_pictures(options.pictures, settings["size"]["height"])
    figures, given = measure(model, tokenizer, pixels, known)
    for row in list(zip(*given.values()))[: options.show]:
        print(" | ".join(row))
    print(json.dumps({"pictures": len(given["<OD>"]), **figures}))


if __name__ == "__main__":
    main()
