"""Training pictures: drawn once into an ignored folder, kept in memory at the input size."""

import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import torch
from PIL import Image

import answers
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
        own = scene.marks == scenes.MARK_NAMES.index(thing.look)
        if thing.look == "sign":
            own |= scene.marks > len(scenes.LOOKS)
        own &= (centres >= x1) & (centres < x2)
        own &= ((centres >= y1) & (centres < y2))[:, None]
        rows, columns = np.nonzero(own)
        edges = (x1 - centres[columns], y1 - centres[rows], x2 - centres[columns], y2 - centres[rows])
        boxes[rows, columns] = np.stack(edges, axis=1) / scenes.SIZE
    return boxes


def cell_answers(scene, tokenizer):
    """What every image token should know, [GRID * GRID, 5 + WORD_TOKENS].

    Columns: the index of the look (0 is nothing), four location bins, and for a
    sign the tokens of the word nearest to that height; IGNORED where there is nothing to tell.
    """
    step = scenes.SIZE / GRID
    centres = (np.arange(GRID) + 0.5) * step
    known = np.full((GRID, GRID, 5 + WORD_TOKENS), IGNORED)
    known[..., 0] = 0

    def area(thing):
        x1, y1, x2, y2 = thing.box
        return (x2 - x1) * (y2 - y1)

    for thing in sorted(scene.things, key=area, reverse=True):
        x1, y1, x2, y2 = thing.box
        inside = np.outer((centres >= y1) & (centres < y2), (centres >= x1) & (centres < x2))
        middle = min(int((y1 + y2) / 2 // step), GRID - 1), min(int((x1 + x2) / 2 // step), GRID - 1)
        inside[middle] = True
        known[inside, :5] = [1 + scenes.LOOKS.index(thing.look), *answers.bins(thing.box)]
        if thing.look == "sign":
            heights = [sum(word.quad[1::2]) / 4 for word in scene.words]
            nearest = np.abs(centres[:, None] - heights).argmin(1)
            for i, word in enumerate(scene.words):
                ids = tokenizer.encode(word.text, add_special_tokens=False).ids[:WORD_TOKENS]
                padding = [tokenizer.token_to_id("<pad>")] * (WORD_TOKENS - len(ids))
                known[inside & (nearest == i)[:, None], 5:] = ids + padding
    return known.reshape(GRID * GRID, -1)


def described(scene):
    """What is known of a scene besides its pixels, as JSON can hold it."""
    return {
        "background": scene.background,
        "things": [vars(thing) for thing in scene.things],
        "words": [vars(word) for word in scene.words],
    }


def draw_shard(folder, side, kind, number):
    """Draw SHARD training "scenes" or "sheets" into one file, unless it is there already."""
    path = folder / f"{kind}_{number:03d}.npz"
    if not path.exists():
        draw = {"scenes": partial(scenes.make_scene, "train"), "sheets": scenes.make_sheet}[kind]
        drawn = [draw(number * SHARD + i) for i in range(SHARD)]
        unfinished = path.with_suffix(".part.npz")
        np.savez_compressed(
            unfinished,
            pixels=np.stack([resized(scene.image, side) for scene in drawn]),
            marks=np.stack([scene.marks for scene in drawn]).astype(np.uint8),
            scenes=json.dumps([described(scene) for scene in drawn]),
        )
        unfinished.rename(path)
    return path


def load_shard(path):
    """Pixels, marks and scenes (without images) of a shard."""
    shard = np.load(path)
    known = [
        scenes.Scene(
            None,
            marks,
            scene["background"],
            [scenes.Thing(**thing) for thing in scene["things"]],
            [scenes.Word(**word) for word in scene["words"]],
        )
        for scene, marks in zip(json.loads(str(shard["scenes"])), shard["marks"].astype(np.int64))
    ]
    return shard["pixels"], known


class Pictures:
    """Training pictures; worker processes draw more of them while the first ones are in use."""

    def __init__(self, folder, side, count, kind="scenes", workers=1):
        self._pool = ProcessPoolExecutor(workers)
        draw = partial(draw_shard, folder, side, kind)
        self._due = [self._pool.submit(draw, number) for number in range(-(-count // SHARD))]
        self._pixels = []
        self.scenes = []
        self.gather(wait=True)

    def gather(self, wait=False):
        """Take up what has been drawn meanwhile."""
        while self._due and (wait or self._due[0].done()):
            pixels, known = load_shard(self._due.pop(0).result())
            self._pixels.append(pixels)
            self.scenes += known
            wait = False

    def __len__(self):
        return len(self.scenes)

    def pixels(self, indices):
        """Normalised pixels of some pictures."""
        return normalised(np.stack([self._pixels[i // SHARD][i % SHARD] for i in indices]))

    def dense(self, indices):
        """Marks [N, rows, columns] and boxes [N, rows, columns, 4] of some pictures."""
        some = [self.scenes[i] for i in indices]
        marks = np.stack([scene.marks for scene in some])
        return torch.from_numpy(marks), torch.from_numpy(np.stack([cell_boxes(s) for s in some]))

    def cells(self, indices, tokenizer):
        """What the image tokens of some pictures should know."""
        some = [cell_answers(self.scenes[i], tokenizer) for i in indices]
        return torch.from_numpy(np.stack(some)).long()
