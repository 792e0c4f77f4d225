"""Synthetic pictures with exact truth: emoji things and printed signs on varied backgrounds.

A scene is a pure function of its split and its index, so the training pictures
and the held-out pictures can never share a seed. Every scene knows its things
with boxes and outlines from the alpha mask, and its printed words with
quadrilaterals; `answers.py` makes prompts and answers of that.
"""

import io
import math
import string
from dataclasses import dataclass, field
from functools import cache

import contourpy
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = 192
CELL = 8
OUTLINE_POINTS = 32
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

# What things look like; where the picture has a colour of its own, the name says so.
EMOJI = {
    **{"dog": "🐕", "cat": "🐈", "horse": "🐎", "pig": "🐖", "elephant": "🐘", "bird": "🐦"},
    **{"turtle": "🐢", "butterfly": "🦋", "rabbit": "🐇", "fish": "🐟", "snail": "🐌", "bee": "🐝"},
    **{"apple": "🍎", "banana": "🍌", "carrot": "🥕", "pizza": "🍕", "lemon": "🍋", "hat": "🎩"},
    **{"strawberry": "🍓", "mushroom": "🍄", "cake": "🎂", "car": "🚗", "bicycle": "🚲", "boat": "⛵"},
    **{"bus": "🚌", "rocket": "🚀", "airplane": "✈", "tree": "🌳", "flower": "🌻", "cactus": "🌵"},
    **{"house": "🏠", "guitar": "🎸", "umbrella": "☂", "key": "🔑", "clock": "⏰", "moon": "🌙"},
    **{"drum": "🥁", "shoe": "👟", "camera": "📷"},
    **{"red ball": "🔴", "yellow ball": "🟡", "green ball": "🟢", "blue ball": "🔵", "purple ball": "🟣"},
    **{"red heart": "❤", "yellow heart": "💛", "green heart": "💚", "blue heart": "💙"},
    **{"red book": "📕", "green book": "📗", "blue book": "📘"},
}
LOOKS = [*EMOJI, "sign"]

WORDS = """
ART BANK BAR BEACH BLUE BOOKS BREAD BUS CAFE CITY CLOSED COLD DOOR EAST ENTER EXIT FARM
FISH FOOD FRUIT GATE GOLD HELLO HOME HOTEL ICE JUICE LEFT LUNCH MENU MILK MUSIC NEW NORTH
OPEN PARK PIZZA PUSH QUIET RIGHT SALE SCHOOL SLOW STOP TAXI TEA WATER WEST YELLOW ZOO
""".split()
CHARACTERS = string.ascii_uppercase + string.digits
MARK_NAMES = ["nothing", *LOOKS, *CHARACTERS]
BACKGROUNDS = {
    "white": (235, 235, 235),
    "gray": (128, 128, 128),
    "blue": (90, 140, 215),
    "green": (95, 165, 95),
    "yellow": (225, 205, 100),
    "pink": (235, 150, 170),
    "brown": (130, 95, 65),
}

SPLITS = {"train": 0, "heldout": 1, "probe": 2}


@dataclass
class Thing:
    """One thing of a scene.

    `box` is (x1, y1, x2, y2) in pixels, `outline` runs clockwise around its
    largest part from the topmost point, as [x, y, x, y, ...].
    """

    look: str
    box: tuple[int, int, int, int]
    outline: list[float]

    @property
    def kind(self):
        """The look without its colour: "red ball" is a ball."""
        return self.look.split()[-1]


@dataclass
class Word:
    """One printed word and its corners, clockwise from the top left, in pixels."""

    text: str
    quad: list[float]


@dataclass
class Scene:
    """A picture with its truth.

    `marks` holds, for the centre of every CELL-sized square, the index in
    MARK_NAMES of what is visible there: nothing, a look, or a printed character.
    """

    image: Image.Image
    marks: np.ndarray
    background: str
    things: list[Thing] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)


@cache
def emoji_sprite(look):
    """The emoji of a look as an RGBA picture, cut to its visible part."""
    canvas = Image.new("RGBA", (160, 160))
    font = ImageFont.truetype(EMOJI_FONT, 109)
    ImageDraw.Draw(canvas).text((10, 10), EMOJI[look], font=font, embedded_color=True)
    return canvas.crop(canvas.getchannel("A").getbbox())


@cache
def text_font(path, size):
    """A text font, opened once."""
    return ImageFont.truetype(path, size)


def random_colour(rng, low=0, high=255):
    """A random RGB colour with channels in [low, high]."""
    return tuple(int(value) for value in rng.integers(low, high + 1, 3))


def background(rng):
    """A SIZE x SIZE RGB background (plain, gradient, noise or simple clutter) and its colour's name."""
    style = rng.choice(["plain", "gradient", "noise", "clutter"])
    name = str(rng.choice(list(BACKGROUNDS)))
    base = tuple(int(value) for value in np.clip(BACKGROUNDS[name] + rng.integers(-20, 21, 3), 0, 255))
    image = Image.new("RGB", (SIZE, SIZE), base)
    if style == "gradient":
        mask = Image.linear_gradient("L").rotate(90 * int(rng.integers(4))).resize((SIZE, SIZE))
        other = tuple(int(np.clip(c + rng.integers(-60, 61), 0, 255)) for c in base)
        image.paste(Image.new("RGB", (SIZE, SIZE), other), mask=mask)
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
    return image, name


def thing_sprite(rng, look, side):
    """An emoji turned, mirrored, tinted and scaled so that its longer side is `side`."""
    sprite = emoji_sprite(look)
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
    """One to four different words, at most one of them a number of one to three digits."""
    count = int(rng.choice([1, 2, 3, 4], p=[0.5, 0.3, 0.12, 0.08]))
    words = list(rng.choice(WORDS, size=count, replace=False))
    if rng.random() < 0.25:
        words[int(rng.integers(count))] = str(rng.integers(1, 1000))
    return [str(word) for word in words]


def sign_sprite(rng, words):
    """A sign with one word per line.

    Returns the RGBA sprite, a map of MARK_NAMES indices of the same size, and
    the words with quads in sprite coordinates.
    """
    path = TEXT_FONTS[int(rng.integers(len(TEXT_FONTS)))]
    height = int(rng.integers(28, 45) * (1, 0.85, 0.7, 0.6)[len(words) - 1])
    # With its margins and turned, the sign still has to fit.
    while max(text_font(path, height).getlength(word) for word in words) + 1.2 * height > 0.88 * SIZE:
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
            index = MARK_NAMES.index(character, 1 + len(LOOKS))
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


def outline(alpha, origin):
    """OUTLINE_POINTS points along the largest visible part, clockwise from its topmost, [x, y, ...]."""
    levels = np.pad(np.asarray(alpha, np.float32), 1)
    parts = contourpy.contour_generator(z=levels).lines(127.5)
    ring = max(parts, key=lambda part: abs(area(part)))[:-1]
    if area(ring) < 0:
        ring = ring[::-1]
    ring = np.roll(ring, -int(ring[:, 1].argmin()), axis=0)
    ring = np.concatenate([ring, ring[:1]])
    steps = np.hypot(*np.diff(ring, axis=0).T)
    along = np.concatenate([[0], steps.cumsum()])
    stops = np.arange(OUTLINE_POINTS) / OUTLINE_POINTS * along[-1]
    points = np.stack([np.interp(stops, along, ring[:, axis]) for axis in (0, 1)], axis=1)
    # A pixel's centre lies half a pixel from its edge, and the padding is one pixel wide.
    return np.clip(points - 0.5 + origin, 0, SIZE).round(1).flatten().tolist()


def area(ring):
    """The area within a ring of points [n, 2]; positive if clockwise with y downwards."""
    x, y = ring.T
    return 0.5 * float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


# How many things there are besides a sign, and how long the longer side of each may be.
COUNTS = {1: 0.3, 2: 0.3, 3: 0.2, 4: 0.08, 5: 0.05, 6: 0.03, 7: 0.02, 8: 0.02}
SIDES = {1: (0.3, 0.6), 2: (0.26, 0.5), 3: (0.22, 0.42), 4: (0.2, 0.36)}
MANY_SIDES = (0.15, 0.3)
TINY_SIDES = (0.04, 0.15)


def make_scene(split, index):
    """Draw scene number `index` of one of the SPLITS."""
    rng = np.random.default_rng((SPLITS[split], index))
    image, background_name = background(rng)
    marks = Image.new("L", image.size)
    scene = Scene(image, marks, background_name)

    with_sign = rng.random() < 0.6
    count = int(rng.choice(list(COUNTS), p=list(COUNTS.values())))
    if with_sign:
        count = min(count, 3)
    sides = SIDES.get(count + with_sign, MANY_SIDES)
    taken = []
    if with_sign:
        sign = sign_sprite(rng, random_words(rng))
        sign_box = place(rng, sign[0].size, [], 0)
        taken.append(sign_box)

    look = None
    for _ in range(count):
        if look is None or rng.random() > 0.2:
            look = str(rng.choice(list(EMOJI)))
        low, high = TINY_SIDES if rng.random() < 0.03 else sides
        sprite = thing_sprite(rng, look, SIZE * rng.uniform(low, high))
        box = place(rng, sprite.size, taken, 0.15)
        if box is None:
            continue
        taken.append(box)
        alpha = sprite.getchannel("A")
        image.paste(sprite, box[:2], sprite)
        visible = alpha.point(lambda level: 255 * (level > 127))
        marks.paste(MARK_NAMES.index(look), box, visible)
        scene.things.append(Thing(look, mask_box(alpha, box[:2]), outline(alpha, box[:2])))

    if with_sign:
        sprite, sign_marks, scene.words = sign
        alpha = sprite.getchannel("A")
        image.paste(sprite, sign_box[:2], sprite)
        marks.paste(sign_marks, sign_box[:2], sign_marks.point(lambda mark: 255 * (mark > 0)))
        scene.things.append(Thing("sign", mask_box(alpha, sign_box[:2]), outline(alpha, sign_box[:2])))
        for word in scene.words:
            word.quad = [value + sign_box[i % 2] for i, value in enumerate(word.quad)]

    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.6)))
    if rng.random() < 0.5:
        image = compressed(image, int(rng.integers(50, 96)))
    scene.image = image
    scene.things.sort(key=lambda thing: thing.box)
    scene.marks = sampled(marks)
    return scene


def make_sheet(index):
    """A picture full of random characters, set as on signs: practice in reading."""
    rng = np.random.default_rng((SPLITS["train"], 1, index))
    font = text_font(TEXT_FONTS[int(rng.integers(len(TEXT_FONTS)))], int(rng.integers(18, 45)))
    _, top, _, bottom = font.getbbox("H")
    dark, light = random_colour(rng, 0, 80), random_colour(rng, 190, 255)
    paper, ink = (dark, light) if rng.random() < 0.4 else (light, dark)
    image, marks = Image.new("RGB", (SIZE, SIZE), paper), Image.new("L", (SIZE, SIZE))
    draw, mark = ImageDraw.Draw(image), ImageDraw.Draw(marks)
    mark.rectangle((0, 0, SIZE, SIZE), fill=MARK_NAMES.index("sign"))
    y = rng.uniform(-5, 10)
    while y < SIZE:
        x = rng.uniform(-10, 10)
        while x < SIZE:
            character = str(rng.choice(list(CHARACTERS + 3 * " ")))
            right = x + font.getlength(character)
            if character != " ":
                draw.text((x, y - top), character, font=font, fill=ink)
                index = MARK_NAMES.index(character, 1 + len(LOOKS))
                mark.rectangle((x, y, right - 1, y + bottom - top), fill=index)
            x = right
        y += 1.25 * font.size
    degrees = rng.uniform(-6, 6)
    image = image.rotate(degrees, Image.Resampling.BICUBIC)
    marks = marks.rotate(degrees, Image.Resampling.NEAREST)
    return Scene(image, sampled(marks), "white")


def sampled(marks):
    """The marks at the centres of the cells."""
    return np.asarray(marks)[CELL // 2 :: CELL, CELL // 2 :: CELL].astype(np.int64)


def compressed(image, quality):
    """The image with the artefacts of JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")
