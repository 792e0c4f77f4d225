"""The byte-level BPE tokenizer of the nano checkpoint, in the files of the released models."""

import json
import re
from pathlib import Path

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
    trainers,
)

import answers
import scenes

MASK = "<mask>"
BASE_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", MASK]
IMAGE = "<image>"
TASK_TOKENS = [
    *("<od>", "</od>", "<ocr>", "</ocr>"),
    *(f"<loc_{k}>" for k in range(1000)),
    *("<cap>", "</cap>", "<ncap>", "</ncap>", "<dcap>", "</dcap>"),
    *("<grounding>", "</grounding>", "<seg>", "</seg>", "<sep>"),
    *("<region_cap>", "</region_cap>", "<region_to_desciption>", "</region_to_desciption>"),
    *("<proposal>", "</proposal>", "<poly>", "</poly>", "<and>"),
]
VOCABULARY_SIZE = len(BASE_TOKENS) + 256 + 700


def corpus(described):
    """Texts that the merges are learned from; numbers are left out, so digits stay single."""
    for scene in described:
        for task, text, answer, _ in answers.items(scene):
            yield re.sub(r"<loc_\d+>|\d+", "", f"{answers.prompt(task, text)} {answer}")
    words = [*scenes.WORDS, *scenes.LOOKS, *map(answers.plural, scenes.LOOKS)]
    for _ in range(3):
        yield from (f"{a} {b}" for a in words for b in words[:: len(words) // 8])


def build_tokenizer(described):
    """Learn the merges from what can be said of some scenes and add the special tokens, in the order of the released models."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=BASE_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(described), trainer)
    tokenizer.add_special_tokens([AddedToken(MASK, lstrip=True, special=True)])
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in [*TASK_TOKENS, IMAGE]]
    )
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    return tokenizer


def write_files(tokenizer, folder):
    """Write tokenizer.json and the older files that say the same."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    model = json.loads(tokenizer.to_str())["model"]
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
    extra = [*TASK_TOKENS, IMAGE]
    write_json(folder / "vocab.json", model["vocab"])
    write_json(folder / "added_tokens.json", {t: tokenizer.token_to_id(t) for t in extra})
    names = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "cls_token": "<s>",
        "mask_token": MASK,
        "additional_special_tokens": extra,
    }
    write_json(folder / "special_tokens_map.json", names)
    config = {
        "tokenizer_class": "BartTokenizer",
        "model_max_length": 512,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "image_token": IMAGE,
    }
    write_json(folder / "tokenizer_config.json", {**names, **config})


def write_json(path, value):
    """Write a value as indented JSON."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
