"""Writes the held-out pictures and their truth.

    python checkpoints/nano/training/heldout.py

`heldout/truth.jsonl` has one line a picture: file, width, height and `prompts`, one for
each task that can be asked about it, with `task`, `text` (where the task takes one) and
`truth`: reference strings of captions and descriptions, boxes or quads with labels in
pixels, polygons, or the exact text.
"""

import json
import random
import shutil
from pathlib import Path

import answers
import scenes

COUNT = 500


def prompts(scene, index):
    """One question of every task that the scene allows."""
    choose = random.Random(index)
    asked = {}
    for task, text, _, truth in answers.items(scene):
        question = {"task": task} | ({"text": text} if text is not None else {}) | {"truth": truth}
        asked.setdefault(task, []).append(question)
    return [rounded(choose.choice(questions)) for questions in asked.values()]


def rounded(value):
    """A JSON value with tenths of pixels."""
    if isinstance(value, float):
        return round(value, 1)
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list) else value


def main():
    """Draw the pictures anew."""
    folder = Path(__file__).parent.parent / "heldout"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with open(folder / "truth.jsonl", "w", encoding="utf-8") as lines:
        for index in range(COUNT):
            scene = scenes.make_scene("heldout", index)
            name = f"{index:03d}.jpg"
            scene.image.save(folder / name, quality=88)
            line = {"file": name, "width": scenes.SIZE, "height": scenes.SIZE}
            lines.write(json.dumps(line | {"prompts": prompts(scene, index)}) + "\n")


if __name__ == "__main__":
    main()
