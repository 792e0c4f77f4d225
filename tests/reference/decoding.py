"""Expected outcomes of decoding: transformers' own `generate` on a made-up decoder.

Writes tests/fixtures/decoding/: search.json (greedy and beam search), warpers.json (temperature, top-k
and top-p), beam_sampling.json (how often beam sampling ends in which sequence) and end_tokens.json (all of this where
several tokens end an answer).

The made-up decoder
-------------------
Its logits are a pure function of the last few tokens, so that the library can recompute them bit for
bit (tests/support/made_up_decoder.ts). All integers are unsigned, modulo 2^32:

    mix(h)      = h ^= h >> 16;  h *= 0x85EBCA6B;  h ^= h >> 13;  h *= 0xC2B2AE35;  h ^= h >> 16
    state       = mix(key * 0x9E3779B9 + picture)
    state       = mix(state ^ token * 0x01000193), for the last `context` tokens, oldest first
    logit[v]    = (mix(state + v * 0x9E3779B9) >> 12) * 2^(spread - 20) + (v == eos ? eos_bias / 16 : 0)

A 20-bit integer times a power of two plus a small multiple of 1/16 is exact in float32.

Left out
--------
Where fewer answers than `num_return_sequences` exist, the reference fills up with copies and fragments
whose score of about -1e9 marks them as ruled out. They are not answers and not in the fixture.

Close calls
-----------
Two implementations may round log-probabilities differently, and then a decision between two nearly
equal scores is a coin toss. Cases with such a decision closer than CLOSE_CALL are drawn anew; their
number is recorded in the file.

    python tests/reference/decoding.py
"""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.generation import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

BOS, PAD, EOS = 0, 1, 2
CASES = 1200
END_TOKEN_CASES = 160
CLOSE_CALL = 5e-5
DEAD = -1e8  # scores below this belong to beams that are ruled out by a penalty of 1e9
FIXTURES = Path(__file__).parent.parent / "fixtures" / "decoding"
MASK = 0xFFFFFFFF


def mix(h: np.ndarray) -> np.ndarray:
    h = h ^ (h >> 16)
    h = (h * 0x85EBCA6B) & MASK
    h = h ^ (h >> 13)
    h = (h * 0xC2B2AE35) & MASK
    return h ^ (h >> 16)


def made_up_logits(key, picture, tokens, *, vocab, context, spread, eos_bias) -> np.ndarray:
    """Logits [vocab] after `tokens`, float32."""
    state = mix(np.uint64((key * 0x9E3779B9 + picture) & MASK))
    for token in tokens[-context:]:
        state = mix(state ^ np.uint64((token * 0x01000193) & MASK))
    hashed = mix((state + np.arange(vocab, dtype=np.uint64) * np.uint64(0x9E3779B9)) & np.uint64(MASK))
    logits = (hashed >> np.uint64(12)).astype(np.float64) * 2.0 ** (spread - 20)
    logits[EOS] += eos_bias / 16
    assert np.array_equal(logits, logits.astype(np.float32))
    return logits.astype(np.float32)


class MadeUpConfig(PretrainedConfig):
    model_type = "made_up"
    is_encoder_decoder = True

    def __init__(self, vocab_size=30, **kwargs):
        self.vocab_size = vocab_size
        super().__init__(is_encoder_decoder=True, **kwargs)


class PictureEncoder(torch.nn.Module):
    """Hands the number of each picture through, so that it travels with the picture's beams."""

    main_input_name = "input_ids"

    def forward(self, input_ids, **_):
        return BaseModelOutput(last_hidden_state=input_ids[:, :, None].float())


class MadeUpDecoder(PreTrainedModel, GenerationMixin):
    config_class = MadeUpConfig
    main_input_name = "input_ids"

    def __init__(self, config, key=0, context=1, spread=4, eos_bias=0):
        super().__init__(config)
        self.encoder = PictureEncoder()
        self.device_anchor = torch.nn.Parameter(torch.zeros(1))
        self.key, self.context, self.spread, self.eos_bias = key, context, spread, eos_bias
        self.closest_call = float("inf")

    def get_encoder(self, modality=None):
        return self.encoder

    def prepare_inputs_for_generation(self, input_ids, encoder_outputs=None, **_):
        return {"decoder_input_ids": input_ids, "encoder_outputs": encoder_outputs}

    def forward(self, input_ids=None, decoder_input_ids=None, encoder_outputs=None, attention_mask=None, **_):
        pictures = encoder_outputs.last_hidden_state[:, 0, 0].long().tolist()
        rows = [
            made_up_logits(
                self.key, picture, tokens, vocab=self.config.vocab_size,
                context=self.context, spread=self.spread, eos_bias=self.eos_bias,
            )
            for picture, tokens in zip(pictures, decoder_input_ids.tolist())
        ]
        return Seq2SeqLMOutput(logits=torch.from_numpy(np.stack(rows))[:, None])

    # The three decisions of beam search between float scores, watched for close calls.

    def _get_top_k_continuations(self, **arguments):
        scores = arguments["accumulated_log_probs"]
        self._watch(torch.topk(scores, min(arguments["beams_to_keep"] + 1, scores.shape[-1]))[0])
        return super()._get_top_k_continuations(**arguments)

    def _update_finished_beams(self, **arguments):
        updated = super()._update_finished_beams(**arguments)
        self._watch(updated[1])
        return updated

    def _check_early_stop_heuristic(self, **arguments):
        generated = arguments["cur_len"] - arguments["decoder_prompt_len"]
        if arguments["early_stopping"] == "never" and arguments["length_penalty"] > 0:
            generated = arguments["max_length"] - arguments["decoder_prompt_len"]
        best = arguments["running_beam_scores"][:, :1] / generated ** arguments["length_penalty"]
        worst = arguments["beam_scores"].min(dim=1, keepdim=True)[0]
        self._watch(torch.cat([best, worst], dim=1))
        return super()._check_early_stop_heuristic(**arguments)

    def _watch(self, scores):
        ordered = torch.sort(scores, descending=True)[0]
        gaps = ordered[:, :-1] - ordered[:, 1:]
        gaps = gaps[ordered[:, 1:] > DEAD]
        if gaps.numel():
            self.closest_call = min(self.closest_call, gaps.min().item())


def draw_case(rng: random.Random) -> dict:
    beams = rng.choice([1, 2, 3, 3, 4, 5])
    max_new = rng.choice([1, 2, 3, 5, 8, 12, 12, 16, 16, 20, 24])
    spread = rng.choice([1, 2, 3, 4])
    return {
        "key": rng.randrange(1 << 31),
        "vocab": rng.randint(30, 200),
        "context": rng.choice([1, 1, 2, 3]),
        "spread": spread,
        "eosBias": rng.choice([-16, 0, 4, 8, 12, 16]) * 2**spread,
        "batch": rng.choice([1, 2, 3]),
        "numBeams": beams,
        "numReturnSequences": rng.choice([1, rng.randint(1, beams)]),
        "earlyStopping": rng.choice([True, True, False, "never"]),
        "lengthPenalty": rng.choice([-1, -0.5, 0, 0.5, 1, 1, 1, 1.5, 2]),
        "noRepeatNgramSize": rng.choice([0, 1, 2, 3, 3]),
        "maxNewTokens": max_new,
        "minNewTokens": rng.choice([0, 0, rng.randint(0, max_new)]),
        "repetitionPenalty": rng.choice([1, 1, 1, 0.8, 1.2, 1.5, 2]),
        "forcedBosTokenId": rng.choice([BOS, None]),
        "forcedEosTokenId": rng.choice([EOS, None]),
    }


def run_case(case: dict):
    """Per returned sequence: tokens with the start token, score (None for greedy) and log-probabilities."""
    model = MadeUpDecoder(
        MadeUpConfig(case["vocab"]), case["key"], case["context"], case["spread"], case["eosBias"]
    )
    beams = case["numBeams"]
    ends = case.get("eosTokenId", [EOS])
    outcome = model.generate(
        torch.arange(case["batch"])[:, None],
        do_sample=False,
        num_beams=beams,
        num_return_sequences=case["numReturnSequences"],
        early_stopping=case["earlyStopping"] if beams > 1 else None,
        length_penalty=float(case["lengthPenalty"]) if beams > 1 else None,
        no_repeat_ngram_size=case["noRepeatNgramSize"],
        max_new_tokens=case["maxNewTokens"],
        min_new_tokens=case["minNewTokens"],
        repetition_penalty=float(case["repetitionPenalty"]),
        forced_bos_token_id=case["forcedBosTokenId"],
        forced_eos_token_id=case["forcedEosTokenId"],
        bos_token_id=BOS, pad_token_id=PAD, eos_token_id=ends, decoder_start_token_id=EOS,
        use_cache=False, return_dict_in_generate=True, output_scores=True, output_logits=True,
    )  # fmt: skip
    indices = getattr(outcome, "beam_indices", None)
    transitions = model.compute_transition_scores(
        outcome.sequences, outcome.scores, indices, normalize_logits=indices is None
    )
    sequences = []
    for row, tokens in enumerate(outcome.sequences.tolist()):
        if indices is None:
            generated = next((i for i, token in enumerate(tokens) if i > 0 and token in ends), len(tokens) - 1)
        else:
            generated = int((indices[row] >= 0).sum())
        score = None if indices is None else outcome.sequences_scores[row].item()
        if score is not None and score < DEAD:
            continue
        sequences.append((tokens[: generated + 1], score, transitions[row, :generated].tolist()))
    return sequences, model.closest_call


def base64_of(values, dtype: str) -> str:
    return base64.b64encode(np.array(values, dtype=dtype).tobytes()).decode()


def write(name: str, content: dict) -> None:
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    path = FIXTURES / name
    path.write_text(json.dumps({"reference": versions, **content}, separators=(",", ":")) + "\n")
    print(f"{path.name}: {path.stat().st_size} bytes")


def write_search() -> None:
    rng = random.Random(20)
    cases, redrawn, lengths, tokens, scores, log_probs = [], 0, [], [], [], []
    while len(cases) < CASES:
        case = draw_case(rng)
        sequences, closest_call = run_case(case)
        if closest_call < CLOSE_CALL:
            redrawn += 1
            continue
        cases.append(case)
        for sequence_tokens, score, sequence_log_probs in sequences:
            lengths.append(len(sequence_tokens))
            tokens += sequence_tokens
            log_probs += sequence_log_probs
            if score is not None:
                scores.append(score)
    names = list(cases[0])
    write("search.json", {
        "redrawn": redrawn,
        "names": names,
        "cases": [[case[name] for name in names] for case in cases],
        "lengths": base64_of(lengths, "u1"),
        "tokens": base64_of(tokens, "u1"),
        "scores": base64_of(scores, "<f4"),
        "logProbs": base64_of(log_probs, "<f4"),
    })  # fmt: skip
    print(f"{len(cases)} cases, {redrawn} drawn anew, {len(lengths)} sequences, {len(tokens)} tokens")


def write_warpers() -> None:
    """What the warpers keep of a row of scores; equal scores and banned tokens included."""
    rng = random.Random(21)
    rows = []
    while len(rows) < 300:
        case = {
            "key": rng.randrange(1 << 31),
            "vocab": rng.randint(5, 120),
            # At spread 20 - bits only 2^bits different logits exist, so that ties are common.
            "spread": rng.choice([2, 3, 4]),
            "ties": rng.choice([0, 0, 13, 16]),
            "banned": rng.choice([0, 0, 3]),
            "temperature": rng.choice([1.0, 1.0, 0.5, 0.7, 1.3, 2.5]),
            "topK": rng.choice([0, 1, 2, 5, 10, 50]),
            "topP": rng.choice([1.0, 0.0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99]),
            "minimum": rng.choice([1, 2]),
        }
        values = made_up_logits(
            case["key"], 0, [], vocab=case["vocab"], context=1, spread=case["spread"], eos_bias=0
        )
        step = 2.0 ** (case["spread"] - 20 + case["ties"])
        scores = torch.from_numpy(np.floor(values / step).astype(np.float32) * np.float32(step))[None]
        scores[0, : case["banned"]] = -float("inf")
        if case["temperature"] != 1.0:
            scores = TemperatureLogitsWarper(case["temperature"])(None, scores)
        if case["topK"] != 0:
            scores = TopKLogitsWarper(case["topK"], min_tokens_to_keep=case["minimum"])(None, scores)
        if case["topP"] < 1.0:
            ordered = scores.sort()[0].softmax(-1).cumsum(-1)
            if (ordered - (1 - case["topP"])).abs().min() < 1e-6 and case["topP"] > 0:
                continue  # a close call, as in the searches
            before = scores
            scores = TopPLogitsWarper(case["topP"], min_tokens_to_keep=case["minimum"])(None, before)
            lowest = scores[scores > -float("inf")].min()
            if ((before == lowest) & (scores < lowest)).any():
                continue  # it kept some of several equal scores: which ones is up to torch.sort
        kept = torch.isfinite(scores[0]).nonzero()[:, 0]
        rows.append({**case, "kept": kept.tolist(), "scores": base64_of(scores[0, kept].numpy(), "<f4")})
    write("warpers.json", {"rows": rows})


def write_beam_sampling() -> None:
    """How often 20000 beam-sampled runs end in each sequence."""
    model = MadeUpDecoder(MadeUpConfig(6), key=5, context=1, spread=1)
    settings = {"numBeams": 2, "maxNewTokens": 3, "temperature": 0.9, "topK": 5, "topP": 0.95}
    torch.manual_seed(1)
    counts = Counter()
    for _ in range(10):
        outcome = model.generate(
            torch.zeros(2000, 1, dtype=torch.long),
            do_sample=True, num_beams=2, max_new_tokens=3, temperature=0.9, top_k=5, top_p=0.95,
            early_stopping=True, length_penalty=1.0, forced_bos_token_id=None, forced_eos_token_id=None,
            bos_token_id=BOS, pad_token_id=PAD, eos_token_id=EOS, decoder_start_token_id=EOS, use_cache=False,
        )  # fmt: skip
        for tokens in outcome.tolist():
            end = tokens.index(EOS, 1) + 1 if EOS in tokens[1:] else len(tokens)
            counts[" ".join(map(str, tokens[:end]))] += 1
    decoder = {"key": 5, "vocab": 6, "context": 1, "spread": 1, "eosBias": 0}
    write("beam_sampling.json", {"decoder": decoder, "settings": settings, "counts": dict(counts.most_common())})


def draw_end_tokens_case(rng: random.Random) -> dict:
    case = draw_case(rng)
    ends = rng.sample(range(2, min(case["vocab"], 40)), rng.choice([2, 2, 3, 4]))
    # Several forced tokens are a tie, which only greedy search decides: by the lower token.
    forced = [None, ends[0], EOS] + ([ends] if case["numBeams"] == 1 else [])
    return {**case, "eosTokenId": ends, "forcedEosTokenId": rng.choice(forced)}


def write_end_tokens() -> None:
    """Greedy and beam search, and how often sampling ends in each sequence, where several tokens end an answer."""
    rng = random.Random(22)
    cases = []
    while len(cases) < END_TOKEN_CASES:
        case = draw_end_tokens_case(rng)
        sequences, closest_call = run_case(case)
        if closest_call >= CLOSE_CALL:
            names = ("tokens", "score", "logProbs")
            cases.append({**case, "sequences": [dict(zip(names, sequence)) for sequence in sequences]})
    ends, drawn = [3, 5], []
    model = MadeUpDecoder(MadeUpConfig(7), key=5, context=1, spread=1)
    torch.manual_seed(2)
    for beams in (1, 2):
        counts = Counter()
        for _ in range(10):
            outcome = model.generate(
                torch.zeros(2000, 1, dtype=torch.long),
                do_sample=True, num_beams=beams, max_new_tokens=4, min_new_tokens=1, temperature=0.9, top_k=5, top_p=0.9,
                early_stopping=True if beams > 1 else None, forced_bos_token_id=None, forced_eos_token_id=None,
                bos_token_id=BOS, pad_token_id=PAD, eos_token_id=ends, decoder_start_token_id=EOS, use_cache=False,
            )  # fmt: skip
            for tokens in outcome.tolist():
                end = next((i + 1 for i, token in enumerate(tokens) if i > 0 and token in ends), len(tokens))
                counts[" ".join(map(str, tokens[:end]))] += 1
        drawn.append({"numBeams": beams, "counts": dict(counts.most_common())})
    decoder = {"key": 5, "vocab": 7, "context": 1, "spread": 1, "eosBias": 0}
    settings = {"maxNewTokens": 4, "minNewTokens": 1, "temperature": 0.9, "topK": 5, "topP": 0.9}
    write("end_tokens.json", {"cases": cases, "draws": {"decoder": decoder, "eosTokenId": ends, "settings": settings, "drawn": drawn}})


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    FIXTURES.mkdir(parents=True, exist_ok=True)
    write_warpers()
    write_beam_sampling()
    write_search()
    write_end_tokens()
