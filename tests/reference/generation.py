"""Writes tests/fixtures/model/tiny.decoding.json: what transformers' generate() returns for many options.

The tiny model reads made-up pictures ("pixel_values.{k}" of the generator) and made-up prompts. Every
combination of beams, stopping rule and length penalty occurs several times, the other options are drawn
at random from a fixed seed. A case is kept only if models with slightly moved weights return the same ids:
what remains cannot hang on the last bits of float32. Sampling is not covered, since random streams differ.

The tiny model hardly ever emits its own end token, 2, so most cases declare one of its frequent tokens the end
token instead: "eos_token_id" among the options, then also the token that is forced at the length limit. The
start token stays 2.
"""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import torch
from transformers.modeling_outputs import BaseModelOutput

import build
import model as forward
import weights

PICTURES = 12
PROMPTS = 12
CASES_PER_COMBINATION = 3
GREEDY_CASES = 50
TRIES = 40
# After so many tries a combination takes what comes: some penalties make every output run to the limit.
PATIENCE = 12
PERTURBATIONS = ((1e-6, 1), (1e-6, 2), (1e-5, 3))
# Tokens that the tiny model emits often and somewhere in the middle of its output.
END_TOKENS = (16, 22, 34, 40, 44, 72, 125, 127, 136, 137, 156, 157, 181, 202, 228, 274, 287, 299)

BEAMS = (2, 3, 4, 5)
EARLY_STOPPING = (True, False, "never")
LENGTH_PENALTIES = (0.0, 0.5, 1.0, 2.0, -1.0)


def draw_prompts(rng: random.Random) -> list[list[int]]:
    vocabulary = range(4, build.TINY["text_config"]["vocab_size"])
    return [[build.BOS, *rng.choices(vocabulary, k=rng.randrange(0, 15)), build.EOS] for _ in range(PROMPTS)]


def draw_options(rng: random.Random, beams: int) -> dict:
    """The options that do not span the grid."""
    options = {
        "no_repeat_ngram_size": rng.choice((0, 2, 3, 3)),
        "max_new_tokens": rng.choice((3, 8, 15, 24, 30, 40)),
        "min_new_tokens": rng.choice((0, 0, 0, 6, 12)),
        "repetition_penalty": rng.choice((1.0, 1.0, 1.0, 1.3, 0.8)),
        "num_return_sequences": rng.choice((1, 1, rng.randint(1, beams))),
    }
    if options["min_new_tokens"] > options["max_new_tokens"]:
        options["min_new_tokens"] = 0
    return options


def cut(ids: list[int], end: int) -> list[int]:
    """A returned row without its padding: it ends with the first end token after the start token."""
    return ids[: ids.index(end, 1) + 1]


def encoded(model, case: dict, known: dict) -> tuple[torch.Tensor, BaseModelOutput]:
    """Encoder ids and outputs of a case's picture and prompt, computed once per model."""
    key = (id(model), case["picture"], tuple(case["input_ids"]))
    if key not in known:
        pixels = torch.from_numpy(weights.picture(case["picture"], build.TINY_SIDE)[None])
        features = model.get_image_features(pixels).pooler_output
        known[key] = forward.encode(model, build.TINY, features, case["input_ids"])
    ids, output = known[key]
    return ids, BaseModelOutput(output.last_hidden_state)


def run(model, case: dict, known: dict) -> list[dict]:
    """The returned sequences of a case, each with ids, score and per-token scores."""
    options = dict(case["options"])
    if options["num_beams"] == 1:
        # transformers refuses or ignores these for greedy search.
        options.pop("early_stopping", None)
        options.pop("length_penalty", None)
    with torch.no_grad():
        ids, outputs = encoded(model, case, known)
        output = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            encoder_outputs=outputs,
            do_sample=False,
            decoder_start_token_id=build.EOS,
            return_dict_in_generate=True,
            output_scores=True,
            forced_bos_token_id=build.BOS,
            forced_eos_token_id=options["eos_token_id"],
            **options,
        )
    beams = options["num_beams"] > 1
    chosen = model.compute_transition_scores(
        output.sequences, output.scores, output.beam_indices if beams else None, normalize_logits=not beams
    )
    raw = None if beams else model.compute_transition_scores(output.sequences, output.scores)
    found = []
    for row, sequence in enumerate(output.sequences.tolist()):
        ids = cut(sequence, options["eos_token_id"])
        entry = {"ids": ids}
        if beams:
            entry["score"] = float(output.sequences_scores[row])
        entry["logprobs"] = [round(x, 6) for x in chosen[row, : len(ids) - 1].tolist()]
        if raw is not None:
            entry["scores"] = [round(x, 6) for x in raw[row, : len(ids) - 1].tolist()]
        found.append(entry)
    return found


def sound(case: dict, sequences: list[dict]) -> bool:
    """Whether the reported numbers belong together (they do not for slots that search never filled)."""
    penalty = case["options"].get("length_penalty", 1.0)
    for sequence in sequences:
        if not all(np.isfinite(sequence["logprobs"])) or len(sequence["logprobs"]) != len(sequence["ids"]) - 1:
            return False
        if "score" in sequence:
            expected = sum(sequence["logprobs"]) / (len(sequence["ids"]) - 1) ** penalty
            if abs(expected - sequence["score"]) > 1e-4 * max(1.0, abs(expected)):
                return False
    return True


def ends_by_itself(case: dict, sequences: list[dict]) -> bool:
    return any(len(s["ids"]) - 1 < case["options"]["max_new_tokens"] for s in sequences)


def main() -> None:
    rng = random.Random(2)
    model = build.build(build.TINY)
    moved = []
    for relative, seed in PERTURBATIONS:
        moved.append(build.build(build.TINY))
        forward.perturb(moved[-1], relative, seed)
    prompts = draw_prompts(rng)

    grid = [
        {"num_beams": beams, "early_stopping": early, "length_penalty": penalty}
        for beams, early, penalty in itertools.product(BEAMS, EARLY_STOPPING, LENGTH_PENALTIES)
    ]
    wanted = [({"num_beams": 1}, GREEDY_CASES)] + [(spot, CASES_PER_COMBINATION) for spot in grid]
    cases, unstable, unsound, known = [], 0, 0, {}
    torch.set_num_threads(1)  # tiny tensors: a second thread only waits
    for spot, count in wanted:
        kept, plain = [], []
        for attempt in range(TRIES + count):
            if len(kept) == count:
                break
            # A third of the cases may run into the length limit, the others should find the end token.
            limit = len(plain) < max(1, count // 3) or attempt >= count + PATIENCE
            end = build.EOS if limit else rng.choice(END_TOKENS)
            case = {
                "picture": f"pixel_values.{rng.randrange(PICTURES)}",
                "input_ids": rng.choice(prompts),
                "options": {**spot, "eos_token_id": end, **draw_options(rng, spot["num_beams"])},
            }
            sequences = run(model, case, known)
            natural = ends_by_itself(case, sequences)
            if not natural and not limit:
                continue
            if not sound(case, sequences):
                unsound += 1
                continue
            ids = [sequence["ids"] for sequence in sequences]
            if any([sequence["ids"] for sequence in run(other, case, known)] != ids for other in moved):
                unstable += 1
                continue
            kept.append({**case, "sequences": sequences})
            if not natural:
                plain.append(case)
        print(spot, len(kept), flush=True)
        cases.extend(kept)
    print(f"{len(cases)} cases; dropped {unstable} near ties, {unsound} with unfilled slots")
    lines = ",\n".join("    " + json.dumps(case) for case in cases)
    head = json.dumps({"side": build.TINY_SIDE, "forced_bos_token_id": build.BOS})[1:-1]
    (forward.FOLDER / "tiny.decoding.json").write_text(f'{{\n  {head},\n  "cases": [\n{lines}\n  ]\n}}\n')


if __name__ == "__main__":
    main()
