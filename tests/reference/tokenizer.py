"""Writes tests/fixtures/tokenizer: a small vocabulary, vectors and the digests of 100,000 random texts.

    python tests/reference/tokenizer.py [DIRECTORY_WITH_THE_RELEASED_TOKENIZER]

needs the packages tokenizers (0.23.3 made the committed files) and, for nothing else, a directory with the
released tokenizer.json; without it the digests of the released vocabulary stay as they are.

The random texts
----------------
Both sides make them from a counter. Text number n draws numbers from

    draw(k, m) = hash(n * 4096 + k) mod m        k = 0, 1, 2, ... within the text
    hash(x):  x = x * 0x9E3779B9 mod 2^32
              x ^= x >> 16;  x = x * 0x85EBCA6B mod 2^32
              x ^= x >> 13;  x = x * 0xC2B2AE35 mod 2^32
              x ^= x >> 16

and is made of draw mod 13 parts; a part is one of the kinds of PARTS, each with the draws that part() says.
Characters are taken from blocks that have no unassigned places, because the two sides may know different
versions of Unicode.

A digest is SHA-256, cut to 16 hexadecimal digits, over 1000 texts, each of which contributes the UTF-8 of

    ids joined by spaces, "\n", decoded text, "\n", decoded text without special tokens, "\n"
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

FIXTURES = Path(__file__).parent.parent / "fixtures" / "tokenizer"
TEXTS, BLOCK, STRIDE = 100_000, 1000, 4096

WORDS = ["the", "The", "image", "shows", "a", "car", "parked", "in", "front", "of", "building", "don't", "it's",
         "we'll", "I'M", "they're", "'tis", "hello", "wheels", "OCR", "x", "caption", "constructor", "__proto__"]
PUNCTUATION = list(".,;:!?'\"-_()[]{}<>/\\|@#$%^&*+=~`") + ["…", "—", "。", "«", "€", "¿"]
SPACES = [" ", " ", " ", "\n", "\t", "\r", "\v", "\f", "\u0085", "\u00a0", "\u1680", "\u2003", "\u2028", "\u2029",
          "\u202f", "\u205f", "\u3000", "\ufeff", "\u200b", "\u180e", "\u001c"]
NUMBERS = list("0123456789") + ["½", "²", "٣", "Ⅷ", "०", "𝟙", "①", "〇"]
EMOJI = ["😀", "🤗", "👩\u200d👩\u200d👧", "🏳️\u200d🌈", "🇫🇷", "👍🏽", "❤️", "🚗"]
SPECIAL = ["<s>", "</s>", "<pad>", "<unk>", "<mask>", "<od>", "</ocr>", "<cap>", "</dcap>", "<grounding>", "<sep>",
           "<poly>", "</poly>", "<and>", "<region_to_desciption>", "<image>", "<region_to_description>"]
PIECES = ["<loc_", "_5>", "<", "</", "s>", "<lo", "<loc_<loc_7>", "'s", "'re", "''", "<|endoftext|>", "<OD>", "<mas",
          "k>", "<loc_007>", "<<s>>"]
BLOCKS = [(0x00A1, 0x0377), (0x0400, 0x052F), (0x05D0, 0x05EA), (0x0905, 0x0939), (0x0E01, 0x0E3A), (0x1E00, 0x1EFF),
          (0x2010, 0x2027), (0x2190, 0x23FF), (0x3041, 0x3096), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xF8FF),
          (0xFF01, 0xFF5E), (0x1D400, 0x1D454), (0x1F300, 0x1F5FF), (0x20000, 0x2A6DD), (0xF0000, 0xFFFFD)]
PARTS = 12


def hash32(x: int) -> int:
    x = x * 0x9E3779B9 & 0xFFFFFFFF
    x = (x ^ x >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    x = (x ^ x >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return x ^ x >> 16


class Draws:
    def __init__(self, number: int):
        self.counter = number * STRIDE

    def __call__(self, limit: int) -> int:
        value = hash32(self.counter & 0xFFFFFFFF) % limit
        self.counter += 1
        return value

    def run(self, items: list[str], longest: int) -> str:
        return "".join(items[self(len(items))] for _ in range(1 + self(longest)))


def part(draw: Draws) -> str:
    kind = draw(PARTS)
    if kind == 0:
        return "".join(chr(97 + draw(26) - 32 * draw(2)) for _ in range(1 + draw(8)))
    if kind == 1:
        return (" " if draw(2) else "") + WORDS[draw(len(WORDS))]
    if kind == 2:
        return draw.run(PUNCTUATION, 5)
    if kind == 3:
        return draw.run(SPACES, 4)
    if kind == 4:
        return draw.run(NUMBERS, 6)
    if kind == 5:
        return draw.run(EMOJI, 2)
    if kind == 6:
        return "".join(chr(0x4E00 + draw(0x5200)) for _ in range(1 + draw(4)))
    if kind == 7:
        return chr(97 + draw(26)) + "".join(chr(0x300 + draw(0x70)) for _ in range(1 + draw(3)))
    if kind == 8:
        code = draw(65)
        return chr(code if code < 32 else 0x7F + code - 32)
    if kind == 9:
        return SPECIAL[draw(len(SPECIAL))]
    if kind == 10:
        return f"<loc_{draw(1010)}>" if draw(4) else PIECES[draw(len(PIECES))]
    first, last = BLOCKS[draw(len(BLOCKS))]
    return "".join(chr(first + draw(last - first + 1)) for _ in range(1 + draw(5)))


def text(number: int) -> str:
    draw = Draws(number)
    return "".join(part(draw) for _ in range(draw(13)))


def digests(tokenizer: Tokenizer) -> list[str]:
    found = []
    for start in range(0, TEXTS, BLOCK):
        sha = hashlib.sha256()
        for encoding in tokenizer.encode_batch([text(number) for number in range(start, start + BLOCK)]):
            ids = encoding.ids
            kept = tokenizer.decode(ids, skip_special_tokens=False)
            skipped = tokenizer.decode(ids, skip_special_tokens=True)
            sha.update(f"{' '.join(map(str, ids))}\n{kept}\n{skipped}\n".encode())
        found.append(sha.hexdigest()[:16])
    return found


def pairs(*tags: str) -> list[str]:
    return [form for tag in tags for form in (f"<{tag}>", f"</{tag}>")]


def add_florence_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """What Microsoft's processor does with BART's tokenizer when it is made."""
    tokens = pairs("od", "ocr") + [f"<loc_{bin}>" for bin in range(1000)]
    tokens += pairs("cap", "ncap", "dcap", "grounding", "seg") + ["<sep>"]
    tokens += pairs("region_cap", "region_to_desciption", "proposal", "poly") + ["<and>"]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
    return tokenizer


def train() -> Tokenizer:
    """A byte-level BPE of 640 tokens, trained on random texts that the digests do not use."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(token, special=True, normalized=True, lstrip=token == "<mask>")
               for token in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")]
    tokenizer.train_from_iterator(
        (text(number) for number in range(TEXTS, TEXTS + 4000)),
        trainers.BpeTrainer(vocab_size=640, special_tokens=special, show_progress=False,
                            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


VECTORS = ["", " ", "a", "Hello world", "it's  two  spaces ", "a\nb", "<s>hi</s>", "x <mask> y", "x \t<mask>", "<loc_1000>",
           "<loc_5>\n<loc_6>", "region <loc_52>", "café 中文 😀", "\u0085x\ufeffy\u001cz", "DON'T don't 'S 's ''s", "   a  \n b",
           "constructor __proto__ toString", "!!!???...,,,", "\u0000\u007f\u00ad", "<mask><mask> <mask>", "l'eau d'or",
           "What does the image describe?", "<poly><loc_1><loc_2></poly>"]


def main() -> None:
    small = train()
    small.save(str(FIXTURES / "tokenizer.json"), pretty=False)
    small.model.save(str(FIXTURES))
    add_florence_tokens(small)
    prefixed = add_florence_tokens(Tokenizer.from_file(str(FIXTURES / "tokenizer.json")))
    prefixed.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    vectors = [{"text": text, "ids": small.encode(text).ids, "prefixed": prefixed.encode(text).ids,
                "decoded": small.decode(small.encode(text).ids, skip_special_tokens=False)}
               for text in VECTORS]
    write("vectors.json", vectors)

    expected = {"small": digests(small)}
    if len(sys.argv) > 1:
        expected["released"] = digests(add_florence_tokens(Tokenizer.from_file(f"{sys.argv[1]}/tokenizer.json")))
    else:
        expected["released"] = json.loads((FIXTURES / "digests.json").read_text())["released"]
    write("digests.json", expected)


def write(name: str, value: object) -> None:
    (FIXTURES / name).write_text(json.dumps(value, ensure_ascii=True, indent=1) + "\n")


if __name__ == "__main__":
    main()
