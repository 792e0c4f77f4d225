"""Training pictures: drawn once into an ignored folder, kept in memory at the input size."""

import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import torch
from PIL import Image

import scenes

SHARD = 1000
GRID = 8
WORD_TOKENS = 3
IGNORED = -100
MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])


def resized(image, side):
    """A picture as uint8 pixels [side, side, 3], resampled as at inference."""
    return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))


def normalised(pixels):
    """uint8 pixels [N, H, W, 3] as the float tensor [N, 3, H, W] that the model takes."""
    values = (torch.from_numpy(pixels).float() / 255 - MEAN) / STD
    return values.permute(0, 3, 1, 2).contiguous()


def cell_boxes(scene):
    """For each cell of the marks the edges of its thing, from the cell's centre, over SIZE.

    The result is [rows, columns, 4], with NaN where there is no thing.
    """
    side = len(scene.marks)
    centres = (np.arange(side) + 0.5) * scenes.CELL
    boxes = np.full((side, side, 4), np.nan, np.float32)
    for thing in scene.things:
        x1, y1, x2, y2 = thing.box
        own = scene.marks == scenes.MARK_NAMES.index(thing.label)
        if thing.label == "sign":
            own |= scene.marks > len(scenes.KINDS)
        own &= (centres >= x1) & (centres < x2)
        own &= ((centres >= y1) & (centres < y2))[:, None]
        rows, columns = np.nonzero(own)
        edges = (x1 - centres[columns], y1 - centres[rows], x2 - centres[columns], y2 - centres[rows])
        boxes[rows, columns] = np.stack(edges, axis=1) / scenes.SIZE
    return boxes


def cell_answers(scene, tokenizer):
    """What every image token should know, [GRID * GRID, 5 + WORD_TOKENS].

    Columns: the index of the kind (0 is nothing), four location bins, and for a
    sign the tokens of the word at that height; IGNORED where there is nothing to tell.
    """
    step = scenes.SIZE / GRID
    centres = (np.arange(GRID) + 0.5) * step
    answers = np.full((GRID, GRID, 5 + WORD_TOKENS), IGNORED)
    answers[..., 0] = 0

    def area(thing):
        x1, y1, x2, y2 = thing.box
        return (x2 - x1) * (y2 - y1)

    for thing in sorted(scene.things, key=area, reverse=True):
        x1, y1, x2, y2 = thing.box
        middle = (y1 + y2) / 2
        inside = np.outer((centres >= y1) & (centres < y2), (centres >= x1) & (centres < x2))
        inside[int(middle // step), int((x1 + x2) / 2 // step)] = True
        answers[inside, :5] = [1 + scenes.KINDS.index(thing.label), *scenes.bins(thing.box)]
        if thing.label == "sign":
            upper, lower = (scene.words[i].text for i in (0, -1))
            for word, rows in ((upper, centres < middle), (lower, centres >= middle)):
                ids = tokenizer.encode(word, add_special_tokens=False).ids[:WORD_TOKENS]
                padding = [tokenizer.token_to_id("<pad>")] * (WORD_TOKENS - len(ids))
                answers[inside & rows[:, None], 5:] = ids + padding
    return answers.reshape(GRID * GRID, -1)


def draw_shard(folder, side, tokenizer, number):
    """Draw SHARD training scenes into one file, unless it is there already."""
    path = folder / f"pictures_{number:03d}.npz"
    if path.exists():
        return path
    drawn = [scenes.make_scene("train", number * SHARD + i) for i in range(SHARD)]
    answers = [{task: answer(scene) for task, answer in scenes.ANSWERS.items()} for scene in drawn]
    unfinished = path.with_suffix(".part.npz")
    np.savez(
        unfinished,
        pixels=np.stack([resized(scene.image, side) for scene in drawn]),
        marks=np.stack([scene.marks for scene in drawn]).astype(np.uint8),
        boxes=np.stack([cell_boxes(scene) for scene in drawn]),
        cells=np.stack([cell_answers(scene, tokenizer) for scene in drawn]).astype(np.int16),
        answers=json.dumps(answers),
    )
    unfinished.rename(path)
    return path


class Pictures:
    """All training pictures with their marks, boxes and answers (as token ids)."""

    def __init__(self, folder, side, count, tokenizer):
        draw = partial(draw_shard, folder, side, tokenizer)
        with ProcessPoolExecutor(2) as workers:
            paths = list(workers.map(draw, range(-(-count // SHARD))))
        shards = [np.load(path) for path in paths]
        self._pixels = np.concatenate([shard["pixels"] for shard in shards])
        self._marks = np.concatenate([shard["marks"] for shard in shards])
        self._boxes = np.concatenate([shard["boxes"] for shard in shards])
        self._cells = np.concatenate([shard["cells"] for shard in shards])
        self.answers = [
            {task: tokenizer.encode(text).ids for task, text in answers.items()}
            for shard in shards
            for answers in json.loads(str(shard["answers"]))
        ]

    def __len__(self):
        return len(self._pixels)

    def pixels(self, indices):
        """Normalised pixels of some pictures."""
        return normalised(self._pixels[indices])

    def dense(self, indices):
        """Marks [N, rows, columns] and boxes [N, rows, columns, 4] of some pictures."""
        return torch.from_numpy(self._marks[indices]).long(), torch.from_numpy(self._boxes[indices])

    def cells(self, indices):
        """What the image tokens of some pictures should know."""
        return torch.from_numpy(self._cells[indices]).long()
