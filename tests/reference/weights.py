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
PICTURE_SCALE = 2.0

# Suffix of the name -> c of the rule c / sqrt(n). Order matters only for reading: no suffix is a
# suffix of another one.
COEFFICIENTS = {
    # vision tower
    ".dw.weight": 1.0,
    "window_attn.fn.qkv.weight": 2.5,
    "channel_attn.fn.qkv.weight": 0.75,
    "window_attn.fn.proj.weight": 2.0,
    "channel_attn.fn.proj.weight": 3.0,
    "net.fc1.weight": 2.0,
    "net.fc2.weight": 2.0,
    ".proj.weight": 1.75,
    # projector
    "image_projection": 1.75,
    "row_embeddings.weight": 10.0,
    "column_embeddings.weight": 10.0,
    # language model
    "shared.weight": 5.0,
    "embed_positions.weight": 2.5,
    "q_proj.weight": 2.5,
    "k_proj.weight": 2.5,
    "v_proj.weight": 2.5,
    "out_proj.weight": 2.5,
    ".fc1.weight": 2.0,
    ".fc2.weight": 4.0,
}
