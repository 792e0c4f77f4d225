"""Random legal configurations, each stage as transformers computes it: python tests/reference/configurations.py

Writes tests/fixtures/model/configurations.json: per configuration its config.json, the side of the picture, prompt and
decoder ids, and for each stage its size, norm and SAMPLES evenly spread values, computed in double precision with the
counter's weights. What no release uses has its turn: scaled embeddings, attention without biases, every name
of an activation function that this library knows, a token table of the decoder's own (the weights named
"language_model.model.decoder.shared.weight").
"""

from __future__ import annotations

import json
import random

import numpy as np
import torch

import build
import weights
from model import FOLDER, forward

SEEDS = range(1, 13)
SAMPLES = 61
ACTIVATIONS = [
    "gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh",
    "quick_gelu", "silu", "swish", "relu",
]  # fmt: skip
DECODER_TABLE = "language_model.model.decoder.shared.weight"


def configuration(seed: int) -> tuple[dict, int]:
    """A configuration within the limits of this library's kernels, and the side of a picture that fits it."""
    rng = random.Random(seed)
    stages = rng.randint(1, 4)
    vision: dict[str, list] = {"embed_dim": [], "num_heads": [], "num_groups": []}
    for _ in range(stages):
        width = rng.choice([8, 12, 16, 24, 40, 48, 64])
        parts = lambda most: [n for n in range(1, width + 1) if width % n == 0 and width // n % 4 == 0 and width // n <= most]
        vision["embed_dim"].append(width)
        vision["num_heads"].append(rng.choice(parts(64)))
        vision["num_groups"].append(rng.choice(parts(32)))
    kernels = [rng.choice([3, 4, 7])] + [rng.choice([2, 3]) for _ in range(stages - 1)]
    vision_config = build.vision(
        vision["embed_dim"], [rng.randint(1, 2) for _ in range(stages)], vision["num_heads"], vision["num_groups"],
        rng.choice([2, 3, 5, 7, 12, 16]), 0, positions=40, frames=3,
    )  # fmt: skip
    vision_config |= {
        "patch_size": kernels,
        "patch_stride": [rng.choice([2, 4])] + [2] * (stages - 1),
        "patch_padding": [k // 2 for k in kernels],
        "patch_prenorm": [False] + [rng.random() < 0.7 for _ in range(stages - 1)],
        "mlp_ratio": rng.choice([1.0, 2.0, 4.0]),
        "qkv_bias": seed % 3 != 0,
        "activation_function": ACTIVATIONS[(3 * seed + 1) % len(ACTIVATIONS)],
    }
    heads, width = rng.choice([(1, 8), (2, 24), (3, 36), (4, 32), (2, 40), (1, 132)])
    text_config = build.text(width, rng.randint(1, 2), heads, rng.choice([4, 20, 52, 64]), rng.randint(60, 400), 1700)
    if width > 128:
        text_config["encoder_attention_heads"] = 3
    text_config["decoder_layers"] = rng.randint(1, 3)
    text_config["decoder_ffn_dim"] = rng.choice([8, 36, 60])
    text_config["activation_function"] = ACTIVATIONS[seed % len(ACTIVATIONS)]
    text_config["scale_embedding"] = seed % 4 == 1
    vision_config["projection_dim"] = width
    config = build.configuration(vision_config, text_config)
    config["tie_word_embeddings"] = seed % 5 != 2
    return config, rng.choice([18, 25, 32, 47])


def reference(config: dict, side: int):
    tied = config["tie_word_embeddings"]
    shapes = weights.shapes(config)
    if not config["vision_config"]["qkv_bias"]:
        shapes = {name: shape for name, shape in shapes.items() if not name.endswith("attn.fn.qkv.bias")}
    original = weights.shapes
    weights.shapes = lambda _: shapes
    try:
        model = build.build(config | {"tie_word_embeddings": True})
    finally:
        weights.shapes = original
    if not tied:
        table = weights.tensor(DECODER_TABLE, shapes["language_model.model.shared.weight"])
        decoder = model.model.language_model.decoder
        decoder.embed_tokens.weight = torch.nn.Parameter(torch.from_numpy(table))
    return model.double()


def main() -> None:
    found = []
    for seed in SEEDS:
        config, side = configuration(seed)
        model = reference(config, side)
        vocabulary = config["text_config"]["vocab_size"]
        rng = random.Random(1000 + seed)
        prompt = [0, *(rng.randrange(4, vocabulary) for _ in range(rng.randint(1, 9))), 2]
        decoder = [2, 0, *(rng.randrange(4, vocabulary) for _ in range(4))]
        pixels = weights.picture("pixel_values", side)[None].astype(np.float64)
        stages, _ = forward(model, config, pixels, [prompt], [decoder])
        taps = {}
        for name, value in stages.items():
            flat = value[0].flatten().numpy()
            at = [k * flat.size // SAMPLES for k in range(SAMPLES)]
            taps[name] = {"size": flat.size, "norm": float(np.linalg.norm(flat)), "values": [float(f"{flat[i]:.9g}") for i in at]}
        found.append({"config": config, "side": side, "input_ids": prompt, "decoder_ids": decoder, "taps": taps})
        print(seed, side, config["vision_config"]["embed_dim"], config["text_config"]["d_model"], len(taps))
    lines = ",\n".join(json.dumps(one) for one in found)
    (FOLDER / "configurations.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
