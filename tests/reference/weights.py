"""Weights that any language can recompute: a counter, a hash, one multiplication, one addition.

Parity tests need the same weights in the reference (transformers, Python) and in the library
(TypeScript) without shipping gigabytes. Every number of every tensor is therefore a pure function
of the tensor's name, the element's position and a (scale, offset) pair chosen by the tensor's role.

The generator
-------------
Names, shapes and element order are those of the Microsoft layout ("image_projection" is [in, out],
the language model sits below "language_model."). For the tensor NAME and the flat row-major index i:

    seed = FNV-1a, 32 bits, over the UTF-8 bytes of NAME
           (start 0x811C9DC5; per byte: xor, then multiply by 0x01000193, modulo 2^32)
    h    = (seed + i * 0x9E3779B9) mod 2^32
    h   ^= h >> 16;  h = h * 0x85EBCA6B mod 2^32
    h   ^= h >> 13;  h = h * 0xC2B2AE35 mod 2^32
    h   ^= h >> 16                                   (all shifts unsigned)
    u    = (h >> 8) * 2^-23 - 1                      (in [-1, 1), exact in float32)
    value = offset + u * scale                       (float32: product rounded, then sum rounded)

The rules
---------
scale and offset are float32. A rule that reads c / sqrt(n) is computed in float64 (square root, then
quotient) and rounded to float32 once. The first rule that fits decides:

    name                                         scale             offset
    ends in "final_logits_bias"                  0                 0
    ends in "pos_idx_to_embed"                   (not from the counter: the cosine table, see below)
    ends in ".bias"                              0.05              0
    has one axis and ends in ".weight"           0.1               1      (layer norm)
    ends in "row_embeddings.weight"              1.5               0      (image positions)
    ends in "column_embeddings.weight"           1.5               0
    ends in "embed_positions.weight"             0.75              0      (text positions)
    ends in a key of COEFFICIENTS                c / sqrt(n)       0
    "pixel_values", "pixel_values.{k}"           2                 0      (a picture, [3][H][W])

with n = product of all axes but the first (the fan-in of linear and convolution weights, the width
of embedding tables), except for "image_projection", stored [in, out], where n is the first axis.

The cosine table, row t, pair j of D columns: angle = t * exp(-j * ln(10000) / (D / 2)); column 2j is
its sine, column 2j + 1 its cosine. One picture per prompt only ever uses row 0: 0, 1, 0, 1, ...

No tensor is stored twice: the encoder's and decoder's token tables and the output head are
"language_model.model.shared.weight".
"""

from __future__ import annotations

import math

import numpy as np

GOLDEN = 0x9E3779B9
CHUNK = 1 << 16

BIAS_SCALE = 0.05
NORM_SCALE = 0.1
IMAGE_POSITION_SCALE = 1.5
TEXT_POSITION_SCALE = 0.75
PICTURE_SCALE = 2.0

# Suffix of the name -> c of the rule c / sqrt(n). The first suffix that fits decides. Chosen by trial:
# activations keep their size through all layers, tokens stay different from each other, and generated
# text depends on the picture, the prompt and the step. sqrt(3) keeps the variance.
COEFFICIENTS = {
    # vision tower
    ".dw.weight": 0.5,
    "window_attn.fn.qkv.weight": 2.5,
    "channel_attn.fn.qkv.weight": 0.75,
    "window_attn.fn.proj.weight": 1.5,
    "channel_attn.fn.proj.weight": 2.5,
    "net.fc1.weight": 1.75,
    "net.fc2.weight": 1.5,
    ".proj.weight": 1.75,
    # projector
    "image_projection": 1.75,
    # language model
    "shared.weight": 5.0,
    "q_proj.weight": 4.5,
    "k_proj.weight": 4.5,
    "v_proj.weight": 1.75,
    "self_attn.out_proj.weight": 0.8,
    "encoder_attn.out_proj.weight": 1.4,
    ".fc1.weight": 2.5,
    ".fc2.weight": 1.2,
}


def hash_name(name: str) -> int:
    """FNV-1a, 32 bits."""
    value = 0x811C9DC5
    for byte in name.encode("utf-8"):
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def uniform(name: str, start: int, stop: int) -> np.ndarray:
    """u of the elements start..stop-1 of a tensor, float32."""
    index = np.arange(start, stop, dtype=np.uint64).astype(np.uint32)
    h = index * np.uint32(GOLDEN) + np.uint32(hash_name(name))
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    h >>= np.uint32(8)
    return h.astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)


def rule(name: str, shape: tuple[int, ...]) -> tuple[np.float32, np.float32]:
    """(scale, offset) of a tensor, both float32."""
    if name.endswith("final_logits_bias"):
        return np.float32(0), np.float32(0)
    if name == "pixel_values" or name.startswith("pixel_values."):
        return np.float32(PICTURE_SCALE), np.float32(0)
    if name.endswith(".bias"):
        return np.float32(BIAS_SCALE), np.float32(0)
    if name.endswith(".weight") and len(shape) == 1:
        return np.float32(NORM_SCALE), np.float32(1)
    if name.endswith(("row_embeddings.weight", "column_embeddings.weight")):
        return np.float32(IMAGE_POSITION_SCALE), np.float32(0)
    if name.endswith("embed_positions.weight"):
        return np.float32(TEXT_POSITION_SCALE), np.float32(0)
    for suffix, c in COEFFICIENTS.items():
        if name.endswith(suffix):
            n = shape[0] if name == "image_projection" else math.prod(shape[1:])
            return np.float32(c / math.sqrt(n)), np.float32(0)
    raise KeyError(f"no rule for {name}")


def cosine_table(rows: int, width: int) -> np.ndarray:
    """The temporal position table, float32 from float64 arithmetic."""
    pair = np.arange(width // 2, dtype=np.float64)
    angle = np.arange(rows, dtype=np.float64)[:, None] * np.exp(-pair * math.log(10000) / (width // 2))
    table = np.empty((rows, width), dtype=np.float32)
    table[:, 0::2] = np.sin(angle)
    table[:, 1::2] = np.cos(angle)
    return table


def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One whole tensor, float32, in the Microsoft layout."""
    if name.endswith("pos_idx_to_embed"):
        return cosine_table(*shape)
    scale, offset = rule(name, shape)
    size = math.prod(shape)
    values = np.empty(size, dtype=np.float32)
    # Chunks that stay in the processor's cache make this several times faster.
    for start in range(0, size, CHUNK):
        stop = min(start + CHUNK, size)
        values[start:stop] = uniform(name, start, stop) * scale + offset
    return values.reshape(shape)


def picture(name: str, side: int) -> np.ndarray:
    """A made-up picture as the vision tower reads it: [3][side][side]."""
    return tensor(name, (3, side, side))


def shapes(config: dict) -> dict[str, tuple[int, ...]]:
    """Every tensor of the Microsoft layout, for a configuration in transformers' format."""
    vision, text = config["vision_config"], config["text_config"]
    found: dict[str, tuple[int, ...]] = {}

    def linear(prefix: str, rows: int, columns: int) -> None:
        found[f"{prefix}.weight"] = (rows, columns)
        found[f"{prefix}.bias"] = (rows,)

    def norm(prefix: str, width: int) -> None:
        found[f"{prefix}.weight"] = (width,)
        found[f"{prefix}.bias"] = (width,)

    channels_before = vision.get("in_channels", 3)
    for s, channels in enumerate(vision["embed_dim"]):
        conv, kernel = f"vision_tower.convs.{s}", vision["patch_size"][s]
        found[f"{conv}.proj.weight"] = (channels, channels_before, kernel, kernel)
        found[f"{conv}.proj.bias"] = (channels,)
        norm(f"{conv}.norm", channels_before if vision["patch_prenorm"][s] else channels)
        for j in range(vision["depths"][s]):
            for kind, attention in (("spatial_block", "window_attn"), ("channel_block", "channel_attn")):
                block = f"vision_tower.blocks.{s}.{j}.{kind}"
                hidden = int(channels * vision.get("mlp_ratio", 4.0))
                for conv in ("conv1", "conv2"):
                    found[f"{block}.{conv}.fn.dw.weight"] = (channels, 1, 3, 3)
                    found[f"{block}.{conv}.fn.dw.bias"] = (channels,)
                norm(f"{block}.{attention}.norm", channels)
                linear(f"{block}.{attention}.fn.qkv", 3 * channels, channels)
                linear(f"{block}.{attention}.fn.proj", channels, channels)
                norm(f"{block}.ffn.norm", channels)
                linear(f"{block}.ffn.fn.net.fc1", hidden, channels)
                linear(f"{block}.ffn.fn.net.fc2", channels, hidden)
        channels_before = channels

    last, width = vision["embed_dim"][-1], text["d_model"]
    found["image_projection"] = (last, width)
    norm("image_proj_norm", width)
    positions = vision["max_position_embeddings"]
    found["image_pos_embed.row_embeddings.weight"] = (positions, last // 2)
    found["image_pos_embed.column_embeddings.weight"] = (positions, last - last // 2)
    found["visual_temporal_embed.pos_idx_to_embed"] = (vision["max_temporal_embeddings"], last)

    found["language_model.final_logits_bias"] = (1, text["vocab_size"])
    found["language_model.model.shared.weight"] = (text["vocab_size"], width)
    for side in ("encoder", "decoder"):
        base = f"language_model.model.{side}"
        found[f"{base}.embed_positions.weight"] = (text["max_position_embeddings"] + 2, width)
        norm(f"{base}.layernorm_embedding", width)
        for i in range(text[f"{side}_layers"]):
            layer, hidden = f"{base}.layers.{i}", text[f"{side}_ffn_dim"]
            for attention in ("self_attn", "encoder_attn")[: 2 if side == "decoder" else 1]:
                for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
                    linear(f"{layer}.{attention}.{part}", width, width)
                norm(f"{layer}.{attention}_layer_norm", width)
            linear(f"{layer}.fc1", hidden, width)
            linear(f"{layer}.fc2", width, hidden)
            norm(f"{layer}.final_layer_norm", width)
    return found


# Microsoft's part of a name -> the part that transformers uses, applied one after the other.
RENAMES = (
    (".fn.dw.", "."),
    ("window_attn.norm.", "norm1."),
    ("channel_attn.norm.", "norm1."),
    ("window_attn.fn.", "window_attn."),
    ("channel_attn.fn.", "channel_attn."),
    ("ffn.norm.", "norm2."),
    ("ffn.fn.net.", "ffn."),
    ("image_pos_embed.", "multi_modal_projector.image_position_embed."),
    ("image_proj_norm.", "multi_modal_projector.image_proj_norm."),
    ("visual_temporal_embed.", "multi_modal_projector.visual_temporal_embed."),
    ("language_model.model.", "language_model."),
)


def transformers_name(name: str) -> str | None:
    """The name in transformers' layout; None where it keeps no such tensor."""
    if name == "language_model.final_logits_bias":
        return None
    if name == "image_projection":
        return "model.multi_modal_projector.image_projection.weight"
    if name.startswith("vision_tower.convs."):
        return "model." + name.replace(".proj.", ".conv.")
    for old, new in RENAMES:
        name = name.replace(old, new)
    return "model." + name


def transformers_tensor(name: str, values: np.ndarray) -> np.ndarray:
    """The same tensor as transformers stores it: only image_projection is turned."""
    return np.ascontiguousarray(values.T) if name == "image_projection" else values
