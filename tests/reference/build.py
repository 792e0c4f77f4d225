"""The three configurations of the fixtures, and transformers' own model filled with counter weights."""

from __future__ import annotations

import torch
from transformers import Florence2Config, Florence2ForConditionalGeneration

import weights

BOS, PAD, EOS, UNKNOWN = 0, 1, 2, 3


def vision(embed_dim, depths, num_heads, num_groups, window_size, projection_dim, positions=50, frames=100) -> dict:
    return {
        "in_channels": 3,
        "embed_dim": embed_dim,
        "depths": depths,
        "num_heads": num_heads,
        "num_groups": num_groups,
        "patch_size": [7, 3, 3, 3],
        "patch_stride": [4, 2, 2, 2],
        "patch_padding": [3, 1, 1, 1],
        "patch_prenorm": [False, True, True, True],
        "window_size": window_size,
        "mlp_ratio": 4.0,
        "qkv_bias": True,
        "activation_function": "gelu",
        "drop_path_rate": 0.1,
        "projection_dim": projection_dim,
        "max_position_embeddings": positions,
        "max_temporal_embeddings": frames,
    }


def text(d_model, layers, heads, ffn, vocab, positions) -> dict:
    return {
        "model_type": "bart",
        "d_model": d_model,
        "encoder_layers": layers,
        "decoder_layers": layers,
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads,
        "encoder_ffn_dim": ffn,
        "decoder_ffn_dim": ffn,
        "vocab_size": vocab,
        "max_position_embeddings": positions,
        "activation_function": "gelu",
        "scale_embedding": False,
        "tie_word_embeddings": True,
        "bos_token_id": BOS,
        "pad_token_id": PAD,
        "eos_token_id": EOS,
        "decoder_start_token_id": EOS,
        "forced_bos_token_id": BOS,
        "forced_eos_token_id": EOS,
        "num_beams": 3,
        "early_stopping": True,
        "no_repeat_ngram_size": 3,
    }


def configuration(vision_config: dict, text_config: dict) -> dict:
    """Florence2Config takes any id inside the vocabulary as the placeholder of image tokens. "<unk>"
    never occurs in a prompt, so the vocabulary keeps Microsoft's size and no row is made up."""
    return {
        "vision_config": vision_config,
        "text_config": text_config,
        "image_token_id": UNKNOWN,
        "bos_token_id": BOS,
        "pad_token_id": PAD,
        "eos_token_id": EOS,
    }


# Small enough to store every activation, awkward enough to catch slips: a 144 x 144 picture gives maps
# of 36, 18, 9 and 5 (all but the first need window padding), heads of 8 and 12, groups of 4 to 12,
# a hidden width that is no multiple of 16 and an odd vocabulary.
TINY_SIDE = 144
TINY = configuration(
    vision([8, 16, 24, 32], [1, 1, 2, 1], [1, 2, 2, 4], [2, 2, 2, 4], 12, 24, positions=10, frames=6),
    text(d_model=24, layers=2, heads=2, ffn=52, vocab=301, positions=128),
)
BASE = configuration(
    vision([128, 256, 512, 1024], [1, 1, 9, 1], [4, 8, 16, 32], [4, 8, 16, 32], 12, 768),
    text(d_model=768, layers=6, heads=12, ffn=3072, vocab=51289, positions=1024),
)
LARGE = configuration(
    vision([256, 512, 1024, 2048], [1, 1, 9, 1], [8, 16, 32, 64], [8, 16, 32, 64], 12, 1024),
    text(d_model=1024, layers=12, heads=16, ffn=4096, vocab=51289, positions=1024),
)


def build(config: dict) -> Florence2ForConditionalGeneration:
    """transformers' model with the counter's weights: float32, eager attention, evaluation mode."""
    torch.manual_seed(0)
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    florence_config = Florence2Config(**config, attn_implementation="eager")
    with torch.device("meta"):
        model = Florence2ForConditionalGeneration(florence_config)
    model = model.to_empty(device="cpu").float().eval()
    model.tie_weights()
    state = model.state_dict()
    filled = set()
    with torch.no_grad():
        for name, shape in weights.shapes(config).items():
            target = weights.transformers_name(name)
            if target is None:
                continue
            values = weights.transformers_tensor(name, weights.tensor(name, shape))
            assert tuple(state[target].shape) == values.shape, (name, target)
            state[target].copy_(torch.from_numpy(values))
            filled.add(target)
    shared = state["model.language_model.shared.weight"].data_ptr()
    missing = [name for name, value in state.items() if name not in filled and value.data_ptr() != shared]
    assert not missing, missing
    return model


def image_tokens(config: dict, side: int) -> int:
    """How many tokens a picture becomes: its last map plus the mean."""
    v = config["vision_config"]
    for size, stride, padding in zip(v["patch_size"], v["patch_stride"], v["patch_padding"]):
        side = (side + 2 * padding - size) // stride + 1
    return side * side + 1
