"""Reads intermediate results out of transformers' Florence2 while it runs.

Names of the taps, each [rows, width] per sample, rows of maps in the order h, w:

    vision.stage{s}.embed               after the stage's convolutional embedding
    vision.stage{s}.block{j}.spatial    after a spatial (window attention) block
    vision.stage{s}.block{j}.channel    after a channel attention block
    projector                           the image features as the encoder receives them
    encoder.embed                       after layernorm_embedding
    encoder.layer{i}                    after an encoder layer; the last one is the encoder's output
    decoder.embed, decoder.layer{i}     the same for the decoder
    logits                              [decoder steps, vocabulary]
"""

from __future__ import annotations

from contextlib import contextmanager

import torch


def map_to_tokens(value: torch.Tensor) -> torch.Tensor:
    """[B, C, H, W] to [B, H * W, C]."""
    return value.flatten(2).transpose(1, 2)


def points(model) -> list[tuple[str, torch.nn.Module, bool]]:
    """Every tap: its name, the module whose output it is, and whether that output is a map."""
    core = model.model
    found = []
    for s, (conv, blocks) in enumerate(zip(core.vision_tower.convs, core.vision_tower.blocks)):
        found.append((f"vision.stage{s}.embed", conv, True))
        for j, block in enumerate(blocks):
            found.append((f"vision.stage{s}.block{j}.spatial", block.spatial_block, True))
            found.append((f"vision.stage{s}.block{j}.channel", block.channel_block, True))
    found.append(("projector", core.multi_modal_projector, False))
    for side in ("encoder", "decoder"):
        stack = getattr(core.language_model, side)
        found.append((f"{side}.embed", stack.layernorm_embedding, False))
        found.extend((f"{side}.layer{i}", layer, False) for i, layer in enumerate(stack.layers))
    found.append(("logits", model.lm_head, False))
    return found


@contextmanager
def recording(model):
    """Yields a dictionary that fills with {tap name: [B, rows, width]} while the model runs."""
    taps: dict[str, torch.Tensor] = {}
    handles = []
    for name, module, is_map in points(model):

        def keep(_module, _inputs, output, name=name, is_map=is_map):
            value = output[0] if isinstance(output, tuple) else output
            assert name not in taps, f"{name} ran twice"
            taps[name] = (map_to_tokens(value) if is_map else value).detach().clone()

        handles.append(module.register_forward_hook(keep))
    try:
        yield taps
    finally:
        for handle in handles:
            handle.remove()
