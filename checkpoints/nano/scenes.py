"""Synthetic pictures with exact truth: emoji things and printed signs on varied backgrounds.

A scene is a pure function of its split and its index, so the training pictures
and the held-out pictures can never share a seed. Every scene knows its things
with boxes from the alpha mask, its printed words with quadrilaterals, and the
answers to the tasks that the nano checkpoint is trained on.
"""

import json
import math
import string
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = 192
CELL = 8
EMOJI_FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
TEXT_FONTS = [
    f"/usr/share/fonts/truetype/dejavu/{name}.ttf"
    for name in (
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSansCondensed-Bold",
        "DejaVuSerif-Bold",
        "DejaVuSansMono-Bold",
    )
]

EMOJI = {
    "dog": "🐕",
    "cat": "🐈",
    "horse": "🐎",
    "pig": "🐖",
    "elephant": "🐘",
    "bird": "🐦",
    "turtle": "🐢",
    "butterfly": "🦋",
    "apple": "🍎",
    "banana": "🍌",
    "carrot": "🥕",
    "pizza": "🍕",
    "car": "🚗",
    "bicycle": "🚲",
    "boat": "⛵",
    "tree": "🌳",
    "flower": "🌻",
    "mushroom": "🍄",
    "house": "🏠",
    "ball": "⚽",
    "guitar": "🎸",
    "umbrella": "☂",
    "key": "🔑",
    "clock": "⏰",
}
KINDS = [*EMOJI, "sign"]
PLURALS = {"butterfly": "butterflies"}
COUNTS = {2: "two", 3: "three", 4: "four"}

WORDS = """
ART BAKERY BANK BAR BEACH BLUE BOOKS BREAD BUS CAFE CHEESE CITY CLOSED COFFEE
COLD DANGER DOOR EAST ENTER EXIT FARM FISH FOOD FRESH FRUIT GARDEN GATE GOLD
GREEN HALL HELLO HELP HOME HOTEL HOT HOUSE ICE JUICE KEEP LEFT LIBRARY LUNCH
MARKET MENU MILK MUSEUM MUSIC NEW NORTH OFFICE OPEN PARK PIZZA POLICE PUSH
PULL QUIET RED RIGHT ROAD ROOM SALE SCHOOL SHOP SLOW SOUTH STOP STORE STREET
TAXI TEA TICKETS TOWN TRAIN WATER WEST WORK YELLOW ZOO
""".split()
CHARACTERS = string.ascii_uppercase + string.digits
MARK_NAMES = ["nothing", *KINDS, *CHARACTERS]

SPLITS = {"train": 0, "heldout": 1, "probe": 2}

PROMPTS = {
    "<CAPTION>": "What does the image describe?",
    "<OD>": "Locate the objects with category name in the image.",
    "<OCR>": "What is the text in the image?",
}


@dataclass
class Thing:
    """One thing of a scene: its kind and its box (x1, y1, x2, y2) in pixels."""

    label: str
    box: tuple[int, int, int, int]


@dataclass
class Word:
    """One printed word and its corners, clockwise from the top left, in pixels."""

    text: str
    quad: list[float]


@dataclass
class Scene:
    """A picture with its truth.

    `marks` holds, for the centre of every CELL-sized square, the index in
    MARK_NAMES of what is visible there: nothing, a kind, or a printed character.
    """

    image: Image.Image
    marks: np.ndarray
    things: list[Thing] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)


def groups(scene):
    """Boxes by label: things from left to right, labels in order of first appearance."""
    boxes = {}
    for thing in sorted(scene.things, key=lambda thing: thing.box):
        boxes.setdefault(thing.label, []).append(thing.box)
    return boxes


def bins(coordinates):
    """Location bins (0 to 999) of pixel coordinates of a SIZE x SIZE picture."""
    return [min(max(math.floor(value / (SIZE / 1000)), 0), 999) for value in coordinates]


def noun_phrase(label, count):
    """The label with its article or number: "a dog", "an apple", "two cars"."""
    if count > 1:
        return f"{COUNTS[count]} {PLURALS.get(label, label + 's')}"
    return f"{'an' if label[0] in 'aeiou' else 'a'} {label}"


def caption(scene, reverse=False):
    """One sentence that names every kind of the scene, from left to right."""
    phrases = [noun_phrase(label, len(boxes)) for label, boxes in groups(scene).items()]
    if reverse:
        phrases.reverse()
    *head, last = phrases
    sentence = f"{', '.join(head)} and {last}" if head else last
    return sentence[0].upper() + sentence[1:] + "."


def detections(scene):
    """The `<OD>` answer: every label once, followed by all of its boxes."""
    return "".join(
        label + "".join(f"<loc_{k}>" for box in boxes for k in bins(box))
        for label, boxes in groups(scene).items()
    )


def text(scene):
    """The `<OCR>` answer: the words in reading order, separated by a space."""
    return " ".join(word.text for word in scene.words)


ANSWERS = {"<CAPTION>": caption, "<OD>": detections, "<OCR>": text}


def truth(scene):
    """The truth of a scene as a dictionary that JSON can hold."""
    captions = dict.fromkeys([caption(scene), caption(scene, reverse=True)])
    return {
        "width": SIZE,
        "height": SIZE,
        "things": [{"label": thing.label, "box": list(thing.box)} for thing in scene.things],
        "words": [
            {"text": word.text, "quad": [round(value, 1) for value in word.quad]}
            for word in scene.words
        ],
        "captions": list(captions),
        "ocr": text(scene),
    }


@cache
def emoji_sprite(label):
    """The emoji of a kind as an RGBA picture, cut to its visible part."""
    canvas = Image.new("RGBA", (160, 160))
    font = ImageFont.truetype(EMOJI_FONT, 109)
    ImageDraw.Draw(canvas).text((10, 10), EMOJI[label], font=font, embedded_color=True)
    return canvas.crop(canvas.getchannel("A").getbbox())


@cache
def text_font(path, size):
    """A text font, opened once."""
    return ImageFont.truetype(path, size)


def random_colour(rng, low=0, high=255):
    """A random RGB colour with channels in [low, high]."""
    return tuple(int(value) for value in rng.integers(low, high + 1, 3))


def background(rng):
    """A SIZE x SIZE RGB background: plain, gradient, noise or simple clutter."""
    style = rng.choice(["plain", "gradient", "noise", "clutter"])
    base = random_colour(rng, 30, 245)
    image = Image.new("RGB", (SIZE, SIZE), base)
    if style == "gradient":
        mask = Image.linear_gradient("L").rotate(90 * int(rng.integers(4))).resize((SIZE, SIZE))
        image.paste(Image.new("RGB", (SIZE, SIZE), random_colour(rng, 30, 245)), mask=mask)
    elif style == "noise":
        grain = int(rng.choice([12, 24, 48, SIZE]))
        noise = rng.normal(0, rng.uniform(5, 25), (grain, grain, 3))
        pixels = np.clip(np.array(base) + noise, 0, 255).astype(np.uint8)
        image = Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    elif style == "clutter":
        draw = ImageDraw.Draw(image)
        for _ in range(int(rng.integers(3, 10))):
            x, y = rng.integers(-20, SIZE, 2)
            width, height = rng.integers(8, 70, 2)
            shade = tuple(int(np.clip(c + rng.integers(-45, 46), 0, 255)) for c in base)
            box = (int(x), int(y), int(x + width), int(y + height))
            shape = rng.choice(["ellipse", "rectangle", "line"])
            if shape == "line":
                draw.line(box, fill=shade, width=int(rng.integers(1, 6)))
            else:
                getattr(draw, shape)(box, fill=shade)
    return image


def thing_sprite(rng, label, side):
    """An emoji turned, mirrored, tinted and scaled so that its longer side is `side`."""
    sprite = emoji_sprite(label)
    if rng.random() < 0.5:
        sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    sprite = sprite.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR, expand=True)
    sprite = sprite.crop(sprite.getchannel("A").getbbox())
    scale = side / max(sprite.size)
    sprite = sprite.resize([max(1, round(length * scale)) for length in sprite.size])
    *colours, alpha = sprite.split()
    gains = rng.uniform(0.8, 1.15) * rng.uniform(0.93, 1.07, 3)
    tables = np.minimum(np.rint(np.outer(gains, np.arange(256))), 255).astype(int).tolist()
    tinted = [channel.point(table) for channel, table in zip(colours, tables)]
    return Image.merge("RGBA", [*tinted, alpha])


def random_words(rng):
    """One or two different words, at most one of them a number of one to three digits."""
    words = list(rng.choice(WORDS, size=int(rng.integers(1, 3)), replace=False))
    if rng.random() < 0.25:
        words[int(rng.integers(len(words)))] = str(rng.integers(1, 1000))
    return [str(word) for word in words]


def sign_sprite(rng, words):
    """A sign with one word per line.

    Returns the RGBA sprite, a map of MARK_NAMES indices of the same size, and
    the words with quads in sprite coordinates.
    """
    path = TEXT_FONTS[int(rng.integers(len(TEXT_FONTS)))]
    height = int(rng.integers(20, 31))
    while max(text_font(path, height).getlength(word) for word in words) > 0.75 * SIZE:
        height -= 1
    font = text_font(path, height)
    widths = [font.getlength(word) for word in words]
    _, top, _, bottom = font.getbbox("H")
    line, margin = round(1.25 * height), round(height * rng.uniform(0.25, 0.6))
    size = (
        round(max(widths)) + 2 * margin,
        line * (len(words) - 1) + bottom - top + 2 * margin,
    )
    dark, light = random_colour(rng, 0, 80), random_colour(rng, 190, 255)
    paper, ink = (dark, light) if rng.random() < 0.4 else (light, dark)
    sprite = Image.new("RGBA", size)
    marks = Image.new("L", size)
    draw, mark = ImageDraw.Draw(sprite), ImageDraw.Draw(marks)
    frame = (0, 0, size[0] - 1, size[1] - 1)
    radius = int(rng.integers(0, 8))
    draw.rounded_rectangle(frame, radius, fill=paper, outline=ink, width=int(rng.integers(0, 3)))
    mark.rectangle(frame, fill=MARK_NAMES.index("sign"))

    placed = []
    for row, (word, width) in enumerate(zip(words, widths)):
        x, y = (size[0] - width) / 2, margin + row * line
        draw.text((x, y - top), word, font=font, fill=ink)
        for i, character in enumerate(word):
            left, right = (x + font.getlength(word[:j]) for j in (i, i + 1))
            index = MARK_NAMES.index(character, 1 + len(KINDS))
            mark.rectangle((left, y, right - 1, y + bottom - top), fill=index)
        right, low = x + width, y + bottom - top
        placed.append(Word(word, [x, y, right, y, right, low, x, low]))
    return rotated_sign(sprite, marks, placed, rng.uniform(-6, 6))


def rotated_sign(sprite, marks, words, degrees):
    """A sign, its map and its quads turned counter-clockwise about the centre."""
    turned = sprite.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    turned_marks = marks.rotate(degrees, Image.Resampling.NEAREST, expand=True)
    left, top, right, bottom = turned.getchannel("A").getbbox()
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for word in words:
        corners = zip(word.quad[::2], word.quad[1::2])
        centred = [(x - sprite.width / 2, y - sprite.height / 2) for x, y in corners]
        word.quad = [
            value
            for x, y in centred
            for value in (
                x * cosine + y * sine + turned.width / 2 - left,
                y * cosine - x * sine + turned.height / 2 - top,
            )
        ]
    frame = (left, top, right, bottom)
    return turned.crop(frame), turned_marks.crop(frame), words


def covered(box, other):
    """The share of the smaller of two boxes that the other one covers."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return max(width, 0) * max(height, 0) / min(areas)


def place(rng, size, taken, limit):
    """A random box of the given size that covers little of the taken ones, or None."""
    for _ in range(40):
        x = int(rng.integers(0, SIZE - size[0] + 1))
        y = int(rng.integers(0, SIZE - size[1] + 1))
        box = (x, y, x + size[0], y + size[1])
        if all(covered(box, other) <= limit for other in taken):
            return box
    return None


def mask_box(alpha, origin):
    """The pixel box of the visible part of a sprite's alpha channel, placed at origin."""
    left, top, right, bottom = alpha.point(lambda level: 255 * (level > 127)).getbbox()
    x, y = origin
    return (x + left, y + top, x + right, y + bottom)


SIDES = {1: (0.28, 0.6), 2: (0.22, 0.5), 3: (0.18, 0.42), 4: (0.15, 0.36)}


def make_scene(split, index):
    """Draw scene number `index` of one of the SPLITS."""
    rng = np.random.default_rng((SPLITS[split], index))
    image = background(rng)
    marks = Image.new("L", image.size)
    scene = Scene(image, marks)

    with_sign = rng.random() < 0.65
    count = int(rng.choice([1, 2, 3] if with_sign else [1, 2, 3, 4]))
    low, high = SIDES[min(count + with_sign, 4)]
    taken = []
    if with_sign:
        sign = sign_sprite(rng, random_words(rng))
        sign_box = place(rng, sign[0].size, [], 0)
        taken.append(sign_box)

    label = None
    for _ in range(count):
        if label is None or rng.random() > 0.2:
            label = str(rng.choice(list(EMOJI)))
        sprite = thing_sprite(rng, label, SIZE * rng.uniform(low, high))
        box = place(rng, sprite.size, taken, 0.12)
        if box is None:
            continue
        taken.append(box)
        alpha = sprite.getchannel("A")
        image.paste(sprite, box[:2], sprite)
        visible = alpha.point(lambda level: 255 * (level > 127))
        marks.paste(MARK_NAMES.index(label), box, visible)
        scene.things.append(Thing(label, mask_box(alpha, box[:2])))

    if with_sign:
        sprite, sign_marks, scene.words = sign
        image.paste(sprite, sign_box[:2], sprite)
        marks.paste(sign_marks, sign_box[:2], sign_marks.point(lambda mark: 255 * (mark > 0)))
        scene.things.append(Thing("sign", mask_box(sprite.getchannel("A"), sign_box[:2])))
        for word in scene.words:
            word.quad = [value + sign_box[i % 2] for i, value in enumerate(word.quad)]

    if rng.random() < 0.2:
        scene.image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.6)))
    scene.marks = np.asarray(marks)[CELL // 2 :: CELL, CELL // 2 :: CELL].astype(np.int64)
    return scene


def write_heldout(folder, count):
    """Write held-out pictures as JPEG files with their truth in truth.jsonl."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "truth.jsonl", "w", encoding="utf-8") as lines:
        for index in range(count):
            scene = make_scene("heldout", index)
            name = f"{index:03d}.jpg"
            scene.image.save(folder / name, quality=92, subsampling=0)
            lines.write(json.dumps({"file": name, **truth(scene)}) + "\n")


if __name__ == "__main__":
    write_heldout(Path(__file__).parent / "heldout", 200)
