"""Prompts of transformers' processor for made-up questions: tests/fixtures/tasks/prompts.json.

Each is [question, prompt]; the prompt is null where the processor refuses the question.
"""

import json
import random
from pathlib import Path

from transformers.models.florence2.processing_florence2 import Florence2Processor

TARGET = Path(__file__).parent.parent / "fixtures" / "tasks" / "prompts.json"
TASKS = ["<CAPTION>", "<OD>", "<OCR>", "<OPEN_VOCABULARY_DETECTION>", "<CAPTION_TO_PHRASE_GROUNDING>"]
TASKS += ["<REFERRING_EXPRESSION_SEGMENTATION>"]
OTHERS = ["<GENERATE_TAGS>", "<VQA>", "<MIXED_CAPTION>", "<and>", "<sep>", "<poly>", "<loc_5>", "</s>"]
OTHERS += ["a bus", "What is this?", "café 猫"]


class Tokenizer:
    """The two values that the processor's constructor reads."""

    image_token, image_token_id = "<image>", 51289


class ImageProcessor:
    image_seq_length = 577


def processor():
    own = object.__new__(Florence2Processor)
    try:
        own.__init__(ImageProcessor(), Tokenizer())
    except (TypeError, ValueError, AttributeError):
        pass  # The base class wants real ones; the tables of prompts are set before it is asked.
    return own


def prompt_of(own, question):
    try:
        return own._construct_prompts(question)[0]
    except ValueError:
        return None


def main():
    own, draw = processor(), random.Random(0)
    questions = {
        "".join(draw.choice(TASKS + OTHERS * 2) for _ in range(draw.randint(1, 4))) for _ in range(600)
    }
    lines = [json.dumps([question, prompt_of(own, question)], ensure_ascii=False) for question in sorted(questions)]
    TARGET.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(f"{TARGET.name}: {len(lines)} questions")


if __name__ == "__main__":
    main()
