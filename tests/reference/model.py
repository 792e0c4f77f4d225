"""Writes the forward-pass fixtures: python model.py tiny | base | large

tiny stores every activation whole. base and large have the published sizes, so each activation is
stored as its norm and as values at evenly spread positions. README.md describes the files.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.numpy import save_file

import build
import taps
import weights

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
FOLDER = FIXTURES / "model"

# A prime: with 4096, samples of a map of 192 x 192 x 128 would all come from its first channel.
TAP_SAMPLES = 4093
LOGIT_SAMPLES = 2048
TOP = 8

PHOTOGRAPH = "coffee.png"
SIDE = 768
MEAN = np.float32([0.485, 0.456, 0.406])
STD = np.float32([0.229, 0.224, 0.225])
NEW_TOKENS = 20
PROMPTS = {
    "<OD>": [0, 574, 22486, 5, 8720, 19, 4120, 766, 11, 5, 2274, 4, 2],
    "<CAPTION>": [0, 2264, 473, 5, 2274, 6190, 116, 2],
}

TINY_PROMPT = [0, 17, 33, 250, 99, 140, 2]
TINY_DECODER = [2, 0, 17, 136, 250, 45, 123, 7, 300, 64, 65]
TINY_BATCH = [
    {"picture": "pixel_values.1", "input_ids": [0, 201, 2], "decoder_ids": [2, 0, 72, 181, 30, 12, 99, 272]},
    {"picture": "pixel_values.2", "input_ids": [0, 8, 8, 64, 111, 290, 31, 77, 2], "decoder_ids": [2, 0, 9, 3, 4, 5, 6, 7]},
]


def write_json(path: Path, value, wide: bool = False) -> None:
    """JSON with one entry a line at the top (or, if wide, at the second) level: readable differences."""

    def lines(value, depth):
        nested = isinstance(value, dict) or (isinstance(value, list) and any(isinstance(x, (dict, list)) for x in value))
        if depth == 0 or not nested or not value:
            return json.dumps(value)
        pad, end = "  " * (levels - depth + 1), "  " * (levels - depth)
        if isinstance(value, dict):
            inner = [f"{pad}{json.dumps(key)}: {lines(item, depth - 1)}" for key, item in value.items()]
            return "{\n" + ",\n".join(inner) + f"\n{end}}}"
        return "[\n" + ",\n".join(pad + lines(item, depth - 1) for item in value) + f"\n{end}]"

    levels = 2 if wide else 1
    path.write_text(lines(value, levels) + "\n")


def write_tensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    save_file({name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()}, path)
    path.chmod(0o644)


def fingerprint(config: dict, only=None) -> dict:
    """What a second implementation of the generator is checked against, tensor by tensor."""
    found = {}
    for name, shape in weights.shapes(config).items():
        # The cosine table is not from the counter, and sines differ in the last bit between libraries.
        if (only is not None and name not in only) or name.endswith("pos_idx_to_embed"):
            continue
        values = weights.tensor(name, shape)
        found[name] = {
            "shape": list(shape),
            "first": [float(x) for x in values.reshape(-1)[:3]],
            "sha256": hashlib.sha256(values.astype("<f4").tobytes()).hexdigest(),
        }
    return found


def forward(model, config, pixels, prompts, decoder_ids):
    """One teacher-forced run of a batch, prompts padded on the right. Returns taps and the output."""
    tokens = build.image_tokens(config, pixels.shape[-1])
    longest = max(map(len, prompts))
    rows, masks = [], []
    for prompt in prompts:
        padding = longest - len(prompt)
        rows.append([config["image_token_id"]] * tokens + prompt + [build.PAD] * padding)
        masks.append([1] * (tokens + len(prompt)) + [0] * padding)
    with torch.no_grad(), taps.recording(model) as found:
        output = model(
            input_ids=torch.tensor(rows),
            attention_mask=torch.tensor(masks),
            pixel_values=torch.from_numpy(pixels),
            decoder_input_ids=torch.tensor(decoder_ids),
            use_cache=False,
        )
    return found, output


def check(model, config, pixels, prompt, found, output) -> None:
    """That the taps are what their names say: neighbours recomputed from each other by formula."""

    def same(name, expected, tolerance=2e-5):
        actual = found[name]
        assert actual.shape == expected.shape, (name, actual.shape, expected.shape)
        error = float((actual - expected).norm() / expected.norm())
        assert error < tolerance, f"{name}: {error}"

    core, vision, text = model.model, config["vision_config"], config["text_config"]
    with torch.no_grad():
        first = core.vision_tower.convs[0]
        x = F.conv2d(torch.from_numpy(pixels), first.conv.weight, first.conv.bias, stride=4, padding=3)
        x = F.layer_norm(taps.map_to_tokens(x), x.shape[1:2], first.norm.weight, first.norm.bias)
        same("vision.stage0.embed", x)

        second = core.vision_tower.convs[1]
        x = found[f"vision.stage0.block{vision['depths'][0] - 1}.channel"]
        side = int(x.shape[1] ** 0.5)
        x = F.layer_norm(x, x.shape[2:], second.norm.weight, second.norm.bias)
        x = x.transpose(1, 2).reshape(len(x), -1, side, side)
        same("vision.stage1.embed", taps.map_to_tokens(F.conv2d(x, second.conv.weight, second.conv.bias, 2, 1)))

        projector = core.multi_modal_projector
        x = found[f"vision.stage{len(vision['depths']) - 1}.block{vision['depths'][-1] - 1}.channel"]
        side = int(x.shape[1] ** 0.5)
        rows = projector.image_position_embed.row_embeddings.weight[:side]
        columns = projector.image_position_embed.column_embeddings.weight[:side]
        positions = torch.cat(
            [torch.cat([columns, rows[h].expand(side, -1)], dim=1) for h in range(side)]
        )
        x = x + positions
        x[..., 1::2] += 1
        x = torch.cat([x.mean(1, keepdim=True), x], dim=1) @ projector.image_projection.weight.T
        norm = projector.image_proj_norm
        same("projector", F.layer_norm(x, x.shape[2:], norm.weight, norm.bias))

        for part, embedded in (
            ("encoder", torch.cat([found["projector"], core.language_model.shared.weight[prompt][None]], dim=1)),
            ("decoder", None),
        ):
            stack = getattr(core.language_model, part)
            layers = text[f"{part}_layers"]
            assert f"{part}.layer{layers - 1}" in found and f"{part}.layer{layers}" not in found
            if embedded is not None:
                x = embedded + stack.embed_positions.weight[2 : 2 + embedded.shape[1]]
                norm = stack.layernorm_embedding
                same(f"{part}.embed", F.layer_norm(x, x.shape[2:], norm.weight, norm.bias))
        assert torch.equal(found[f"encoder.layer{text['encoder_layers'] - 1}"], output.encoder_last_hidden_state)
        assert torch.equal(found["logits"], output.logits)
        same("logits", found[f"decoder.layer{text['decoder_layers'] - 1}"] @ core.language_model.shared.weight.T)
    for name, value in found.items():
        assert torch.isfinite(value).all(), name


def tiny() -> None:
    config = build.TINY
    model = build.build(config)
    image_tokens = build.image_tokens(config, build.TINY_SIDE)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "tiny.config.json").write_text(model.config.to_json_string())
    write_json(FOLDER / "tiny.weights.json", fingerprint(config))

    pixels = weights.picture("pixel_values", build.TINY_SIDE)[None]
    found, output = forward(model, config, pixels, [TINY_PROMPT], [TINY_DECODER])
    check(model, config, pixels, TINY_PROMPT, found, output)
    # Stored in double precision's digits, so that the reference's own rounding does not count as ours.
    model.double()
    found, _ = forward(model, config, pixels.astype(np.float64), [TINY_PROMPT], [TINY_DECODER])
    stored = {name: value[0].numpy() for name, value in found.items()}
    shapes = {name: list(value.shape) for name, value in stored.items()}

    pixels = np.stack([weights.picture(sample["picture"], build.TINY_SIDE) for sample in TINY_BATCH]).astype(np.float64)
    prompts = [sample["input_ids"] for sample in TINY_BATCH]
    together, _ = forward(model, config, pixels, prompts, [sample["decoder_ids"] for sample in TINY_BATCH])
    last = f"encoder.layer{config['text_config']['encoder_layers'] - 1}"
    for b, sample in enumerate(TINY_BATCH):
        valid = image_tokens + len(sample["input_ids"])
        stored[f"batch.{b}.encoder"] = together[last][b, :valid].numpy()
        stored[f"batch.{b}.logits"] = together["logits"][b].numpy()
        # Masked padding must not show: every sample alone gives the same.
        alone, _ = forward(model, config, pixels[b : b + 1], prompts[b : b + 1], [sample["decoder_ids"]])
        assert torch.allclose(alone[last][0], together[last][b, :valid], atol=2e-5)
        assert torch.allclose(alone["logits"][0], together["logits"][b], atol=1e-4)

    write_tensors(FOLDER / "tiny.safetensors", stored)
    write_json(
        FOLDER / "tiny.json",
        {
            "side": build.TINY_SIDE,
            "image_tokens": image_tokens,
            "picture": "pixel_values",
            "input_ids": TINY_PROMPT,
            "decoder_ids": TINY_DECODER,
            "taps": shapes,
            "batch": TINY_BATCH,
        },
        wide=True,
    )


def photograph(name: str, side: int) -> np.ndarray:
    """[3][side][side] as Microsoft's processor makes it: Pillow's bicubic, 1/255 in float64, then float32."""
    picture = Image.open(FIXTURES / "pictures" / name)
    assert picture.mode == "RGB", picture.mode
    values = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))
    values = (values.astype(np.float64) * (1 / 255)).astype(np.float32)
    return np.ascontiguousarray(((values - MEAN) / STD).transpose(2, 0, 1))


def sample(values: np.ndarray, count: int) -> np.ndarray:
    """Elements floor(k * size / count) of the flat array, all of them where there are fewer."""
    flat = values.reshape(-1)
    if flat.size <= count:
        return flat.copy()
    return flat[np.arange(count, dtype=np.int64) * flat.size // count].copy()


def norm(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values.astype(np.float64)).sum()))


def generate(model, input_ids, encoded, beams: int):
    """Generation with Florence-2's own settings, from encoder outputs."""
    return model.generate(
        input_ids=input_ids,
        attention_mask=torch.ones_like(input_ids),
        encoder_outputs=type(encoded)(encoded),
        num_beams=beams,
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        no_repeat_ngram_size=3,
        early_stopping=True,
        length_penalty=1.0,
        forced_bos_token_id=build.BOS,
        forced_eos_token_id=build.EOS,
        decoder_start_token_id=build.EOS,
        return_dict_in_generate=True,
        output_scores=True,
    )


def encode(model, config, features, prompt):
    """Encoder ids and outputs for one prompt behind the image features."""
    ids = torch.tensor([[config["image_token_id"]] * features.shape[1] + prompt])
    embedded = torch.cat([features, model.get_input_embeddings()(torch.tensor([prompt]))], dim=1)
    return ids, model.model.language_model.encoder(inputs_embeds=embedded, attention_mask=torch.ones_like(ids))


def gaps(scores) -> list[float | None]:
    """Distance of the best from the second score per greedy step; None where the token was forced."""
    found = []
    for step in scores:
        best = torch.topk(step[0], 2).values
        found.append(None if torch.isinf(best[1]) else round(float(best[0] - best[1]), 6))
    return found


def perturb(model, relative: float, seed: int) -> None:
    """Moves every weight a little: ids that stay the same are not the outcome of rounding."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            flat = parameter.view(-1)
            for start in range(0, flat.numel(), 1 << 22):
                part = flat[start : start + (1 << 22)]
                part.mul_(1 + relative * (2 * torch.rand(part.shape, generator=generator) - 1))


def sized(label: str, config: dict) -> None:
    model = build.build(config)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{label}.config.json").write_text(model.config.to_json_string())
    pixels = photograph(PHOTOGRAPH, SIDE)[None]

    runs = {}
    with torch.no_grad():
        features = model.get_image_features(torch.from_numpy(pixels)).pooler_output
        for task, prompt in PROMPTS.items():
            ids, encoded = encode(model, config, features, prompt)
            greedy = generate(model, ids, encoded, beams=1)
            beams = generate(model, ids, encoded, beams=3)
            runs[task] = {
                "input_ids": prompt,
                "greedy": {"ids": greedy.sequences[0].tolist(), "gaps": gaps(greedy.scores)},
                "beams": {"ids": beams.sequences[0].tolist(), "score": float(beams.sequences_scores[0])},
            }
            smallest = min(gap for gap in runs[task]["greedy"]["gaps"] if gap is not None)
            print(label, task, "smallest gap", smallest)
            assert smallest > 1e-3, "near tie: choose another prompt"

    # The teacher-forced run follows the greedy ids of the first prompt.
    task, prompt = next(iter(PROMPTS.items()))
    decoder_ids = runs[task]["greedy"]["ids"][:NEW_TOKENS]
    found, output = forward(model, config, pixels, [prompt], [decoder_ids])
    check(model, config, pixels, prompt, found, output)
    assert torch.allclose(found["projector"], features, atol=1e-4)

    logits = found.pop("logits")[0].numpy()
    stored = {"logits": np.stack([sample(row, LOGIT_SAMPLES) for row in logits])}
    described = {}
    for name, value in {"pixel_values": torch.from_numpy(pixels), **found}.items():
        values = value[0].numpy()
        stored[name] = sample(values, TAP_SAMPLES)
        described[name] = {"shape": list(values.shape), "norm": norm(values)}
    steps = []
    for row in logits:
        order = np.argsort(-row, kind="stable")[:TOP]
        steps.append({"norm": norm(row), "top_ids": order.tolist(), "top": [float(row[i]) for i in order]})
    write_tensors(FOLDER / f"{label}.safetensors", stored)

    # Another rounding must not give other ids.
    perturb(model, 1e-5, seed=1)
    with torch.no_grad():
        features = model.get_image_features(torch.from_numpy(pixels)).pooler_output
        for name, run in runs.items():
            ids, encoded = encode(model, config, features, run["input_ids"])
            for way, beams in (("greedy", 1), ("beams", 3)):
                again = generate(model, ids, encoded, beams).sequences[0].tolist()
                assert again == run[way]["ids"], f"{name} {way}: near tie\n{again}\n{run[way]['ids']}"

    checked = ("vision_tower.convs.0.proj.weight", "image_projection", "language_model.model.shared.weight")
    write_json(
        FOLDER / f"{label}.json",
        {
            "picture": PHOTOGRAPH,
            "side": SIDE,
            "image_tokens": build.image_tokens(config, SIDE),
            "input_ids": prompt,
            "decoder_ids": decoder_ids,
            "taps": described,
            "logits": steps,
            "runs": runs,
            "weights": fingerprint(config, checked),
        },
        wide=True,
    )


if __name__ == "__main__":
    for which in sys.argv[1:] or ["tiny"]:
        if which == "tiny":
            tiny()
        elif which == "base":
            sized("base", build.BASE)
        elif which == "large":
            sized("large", build.LARGE)
        else:
            raise SystemExit(f"unknown: {which}")
