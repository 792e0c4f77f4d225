"""Prompts and answers of all fifteen tasks for a scene, in the grammar of the released models.

Nothing here looks at pixels: everything follows from a scene's things, words and
background. `questions` gives what a model is trained on, `truths` what it is
measured against. The default decoding never repeats a token trigram, so no answer
is phrased in a way that needs one twice.
"""

import math

import scenes

# {} takes the text that a task is asked about.
PROMPTS = {
    "<CAPTION>": "What does the image describe?",
    "<DETAILED_CAPTION>": "Describe in detail what is shown in the image.",
    "<MORE_DETAILED_CAPTION>": "Describe with a paragraph what is shown in the image.",
    "<OD>": "Locate the objects with category name in the image.",
    "<DENSE_REGION_CAPTION>": "Locate the objects in the image, with their descriptions.",
    "<REGION_PROPOSAL>": "Locate the region proposals in the image.",
    "<OCR>": "What is the text in the image?",
    "<OCR_WITH_REGION>": "What is the text in the image, with regions?",
    "<CAPTION_TO_PHRASE_GROUNDING>": "Locate the phrases in the caption: {}",
    "<REFERRING_EXPRESSION_SEGMENTATION>": "Locate {} in the image with mask",
    "<REGION_TO_SEGMENTATION>": "What is the polygon mask of region {}",
    "<OPEN_VOCABULARY_DETECTION>": "Locate {} in the image.",
    "<REGION_TO_CATEGORY>": "What is the region {}?",
    "<REGION_TO_DESCRIPTION>": "What does the region {} describe?",
    "<REGION_TO_OCR>": "What text is in the region {}?",
}

NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PLURALS = {
    "butterfly": "butterflies",
    "strawberry": "strawberries",
    "bus": "buses",
    "cactus": "cacti",
    "fish": "fish",
}
PLACES = [
    ["at top left", "at top", "at top right"],
    ["on the left", "in the center", "on the right"],
    ["at bottom left", "at bottom", "at bottom right"],
]
# Every how many points of an outline a polygon answer has one.
POLYGON_STEP = 2


def bins(coordinates):
    """Location bins (0 to 999) of pixel coordinates of a SIZE x SIZE picture."""
    return [min(max(math.floor(value / (scenes.SIZE / 1000)), 0), 999) for value in coordinates]


def locations(coordinates):
    """Pixel coordinates as location tokens."""
    return "".join(f"<loc_{k}>" for k in bins(coordinates))


def grouped(things, key):
    """Things by what `key` says of them, in order of first appearance."""
    groups = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return groups


def look_of(thing):
    """A thing's look, to group by."""
    return thing.look


def plural(name):
    """The name of several of a kind or look."""
    *before, kind = name.split()
    return " ".join([*before, PLURALS.get(kind, kind + "s")])


def noun_phrase(name, count=1):
    """The name with its article or number: "a dog", "an apple", "two red balls"."""
    if count > 1:
        return f"{NUMBERS[count]} {plural(name)}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def listed(phrases):
    """Phrases as an enumeration: "a, b and c"."""
    *head, last = phrases
    return f"{', '.join(head)} and {last}" if head else last


def sentence(text):
    """A text with a capital and a full stop."""
    return text[0].upper() + text[1:] + "."


def place(thing):
    """Where in the picture a thing's centre lies."""
    x1, y1, x2, y2 = thing.box
    row, column = (min(int(1.5 * (a + b) / scenes.SIZE), 2) for a, b in ((y1, y2), (x1, x2)))
    return PLACES[row][column]


def size(thing):
    """ "small ", "large " or nothing, by the longer side."""
    x1, y1, x2, y2 = thing.box
    share = max(x2 - x1, y2 - y1) / scenes.SIZE
    return "small " if share < 0.22 else "large " if share > 0.4 else ""


def written(scene):
    """What the signs say, in reading order."""
    return " ".join(word.text for word in scene.words)


def described(scene, thing):
    """The description of a thing: "large red ball", "sign that says STOP"."""
    return f"sign that says {written(scene)}" if thing.kind == "sign" else size(thing) + thing.look


def phrases(scene):
    """The caption's phrases with their things: ("two dogs", [dog, dog])."""
    groups = grouped(scene.things, look_of)
    return [(noun_phrase(look, len(things)), things) for look, things in groups.items()]


def captions(scene):
    """One sentence that names everything from left to right, and two other ways to put it."""
    named = [phrase for phrase, _ in phrases(scene)]
    forms = [listed(named), listed(named[::-1]), f"a picture of {listed(named)}"]
    return [sentence(form) for form in forms]


def reading(scene):
    """A sentence about the sign, if there is one."""
    return f" The sign says {written(scene)}." if scene.words else ""


def detailed_captions(scene):
    """Things and background, and what the sign says."""
    named = [phrase for phrase, _ in phrases(scene)]
    ground = f"on a {scene.background} background"
    return [
        f"The image shows {listed(named)} {ground}.{reading(scene)}",
        f"The image shows {listed(named[::-1])} {ground}.{reading(scene)}",
        f"There {'is' if len(scene.things) == 1 else 'are'} {listed(named)} {ground}.{reading(scene)}",
    ]


def relation(scene):
    """How the two largest single things lie to each other, if there are two besides a sign."""
    single = [t[0] for _, t in phrases(scene) if len(t) == 1 and t[0].kind != "sign"]
    if len(single) < 2:
        return ""
    first, second = sorted(single, key=lambda t: (t.box[0] - t.box[2]) * (t.box[3] - t.box[1]))[:2]
    across, down = (sum(second.box[axis::2]) - sum(first.box[axis::2]) for axis in (0, 1))
    if abs(across) > abs(down):
        side = "to the left of" if across > 0 else "to the right of"
    else:
        side = "above" if down > 0 else "below"
    return f" The {first.look} is {side} the {second.look}."


def more_detailed_captions(scene):
    """Where everything is, the background, a relation, and what the sign says."""
    count = len(scene.things)
    total = "one thing" if count == 1 else f"{NUMBERS[count]} things"
    spots = {}
    for phrase, things in phrases(scene):
        spot = place(things[0]) if len(things) == 1 else ""
        name = noun_phrase(size(things[0]) + things[0].look) if len(things) == 1 else phrase
        spots.setdefault(spot, []).append(name)
    told = [f"{listed(names)} {spot}".strip() for spot, names in spots.items()]
    ground = f"on a {scene.background} background"
    rest = f"{relation(scene)}{reading(scene)}"
    return [
        f"The image shows {total} {ground}: {', '.join(told)}.{rest}",
        f"The image shows {total} {ground}: {', '.join(told[::-1])}.{rest}",
        f"There {'is' if count == 1 else 'are'} {total} {ground}: {', '.join(told)}.{rest}",
    ]


def detections(groups):
    """Every name once, followed by all of its boxes."""
    return "".join(
        name + "".join(locations(thing.box) for thing in things) for name, things in groups.items()
    )


def descriptions(scene, thing):
    """A region's description and two other ways to put it."""
    name = described(scene, thing)
    where = place(thing)
    return [f"{name} {where}", f"{noun_phrase(name)} {where}", f"{name}, {where}"]


def referring(scene):
    """Expressions that mean exactly one thing: "a dog", or "the dog on the left" of two dogs."""
    expressions = []
    for look, things in grouped(scene.things, look_of).items():
        if len(things) == 1:
            expressions.append((noun_phrase(look), things[0]))
        elif len(things) == 2:
            ordered = sorted(things, key=lambda thing: thing.box[0] + thing.box[2])
            sides = ("on the left", "on the right")
            expressions += [(f"the {look} {side}", t) for side, t in zip(sides, ordered)]
    return expressions


def polygon(thing):
    """The corners of a thing's polygon answer, [x, y, ...]."""
    step = 2 * POLYGON_STEP
    pairs = zip(thing.outline[::step], thing.outline[1::step])
    return [value for pair in pairs for value in pair]


def word_box(word):
    """The box around a word's quadrilateral."""
    xs, ys = word.quad[::2], word.quad[1::2]
    return [min(xs), min(ys), max(xs), max(ys)]


def boxes(things, names):
    """Boxes with labels."""
    return {"boxes": [list(thing.box) for thing in things], "labels": names}


def items(scene):
    """(task, text it is asked about or None, answer, truth) of everything that can be asked."""
    things = scene.things
    caption = captions(scene)[0]
    kinds = grouped(things, lambda thing: thing.kind)
    dense = grouped(things, lambda thing: described(scene, thing))
    yield "<CAPTION>", None, caption, captions(scene)
    detailed = detailed_captions(scene)
    yield "<DETAILED_CAPTION>", None, detailed[0], detailed
    paragraph = more_detailed_captions(scene)
    yield "<MORE_DETAILED_CAPTION>", None, paragraph[0], paragraph
    yield "<OD>", None, detections(kinds), boxes(things, [thing.kind for thing in things])
    names = [described(scene, thing) for thing in things]
    yield "<DENSE_REGION_CAPTION>", None, detections(dense), boxes(things, names)
    every = "".join(locations(thing.box) for thing in things)
    yield "<REGION_PROPOSAL>", None, every, {"boxes": [list(thing.box) for thing in things]}
    if scene.words:
        yield "<OCR>", None, written(scene), written(scene)
        quads = {"quads": [word.quad for word in scene.words], "labels": [w.text for w in scene.words]}
        read = "".join(word.text + locations(word.quad) for word in scene.words)
        yield "<OCR_WITH_REGION>", None, read, quads
    found = [(phrase, thing) for phrase, group in phrases(scene) for thing in group]
    yield (
        "<CAPTION_TO_PHRASE_GROUNDING>",
        caption,
        detections(dict(phrases(scene))),
        boxes([thing for _, thing in found], [phrase for phrase, _ in found]),
    )
    for look, group in grouped(things, look_of).items():
        truth = boxes(group, [look] * len(group))
        yield "<OPEN_VOCABULARY_DETECTION>", look, detections({look: group}), truth
    for expression, thing in referring(scene):
        truth = {"polygons": [[thing.outline]]}
        yield "<REFERRING_EXPRESSION_SEGMENTATION>", expression, locations(polygon(thing)), truth
    for thing in things:
        region = locations(thing.box)
        truth = {"polygons": [[thing.outline]]}
        yield "<REGION_TO_SEGMENTATION>", region, locations(polygon(thing)), truth
        yield "<REGION_TO_CATEGORY>", region, thing.kind + region, thing.kind
        told = descriptions(scene, thing)
        yield "<REGION_TO_DESCRIPTION>", region, told[0] + region, told
    for word in scene.words:
        region = locations(word_box(word))
        yield "<REGION_TO_OCR>", region, word.text + region, word.text


def prompt(task, text):
    """The words that a task is asked with."""
    return PROMPTS[task].format(text) if text is not None else PROMPTS[task]
