"""Transformers' Florence-2 as ONNX graphs, for `npm run bench:peers`: tests/reference/run peers SOURCE SIDE FOLDER

SOURCE is a checkpoint folder, or base or large for the weights of weights.py; SIDE that of the pictures, in pixels.
FOLDER gets config.json and model.safetensors, and the four graphs in which transformers.js runs this model, all in
float32: vision_encoder, embed_tokens, encoder_model and decoder_model_merged. The merged decoder holds the first
step and the further steps, which read keys and values of the past; `use_cache_branch` chooses. There is one picture
and no padding, so the graphs take no masks: a little less work for the peer.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

import checkpoint

PARTS = ("decoder.key", "decoder.value", "encoder.key", "encoder.value")
# Initializers of at least so many bytes are shared by the two decoders; each keeps its small ones.
SHARED_BYTES = 1024


class VisionEncoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model.get_image_features(pixel_values=pixel_values).pooler_output


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.encoder = model.model.language_model.encoder

    def forward(self, inputs_embeds):
        return self.encoder(inputs_embeds=inputs_embeds).last_hidden_state


class Decoder(torch.nn.Module):
    """One step. `past` and what is returned after the logits hold the keys and values of each layer: those of the
    tokens, and those of the encoder, which further steps do not return again."""

    def __init__(self, model):
        super().__init__()
        self.decoder, self.lm_head = model.model.language_model.decoder, model.lm_head

    def forward(self, inputs_embeds, encoder_hidden_states, *past):
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for layer in range(len(past) // 4):
            key, value, cross_key, cross_value = past[4 * layer : 4 * layer + 4]
            cache.self_attention_cache.update(key, value, layer)
            cache.cross_attention_cache.update(cross_key, cross_value, layer)
            cache.is_updated[layer] = True
        hidden = self.decoder(
            inputs_embeds=inputs_embeds,
            encoder_hidden_states=encoder_hidden_states,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        pairs = zip(cache.self_attention_cache.layers, cache.cross_attention_cache.layers)
        present = [(own.keys, own.values) + (() if past else (cross.keys, cross.values)) for own, cross in pairs]
        return self.lm_head(hidden), *(state for layer in present for state in layer)


def export(path: Path, module, inputs: dict, outputs: list[str], dynamic: dict) -> None:
    """`dynamic`: input name -> its axes of any length."""
    shapes = [{axis: torch.export.Dim.DYNAMIC for axis in dynamic.get(name, ())} for name in inputs]
    past = sum(name.startswith("past") for name in inputs)
    if past > 0:
        shapes[-past:] = [tuple(shapes[-past:])]
    torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        path,
        input_names=list(inputs),
        output_names=outputs,
        dynamic_shapes=tuple(shapes),
        external_data=False,
        dynamo=True,
        verbose=False,
    )


def merge(first: onnx.ModelProto, further: onnx.ModelProto) -> onnx.ModelProto:
    """Both decoders as the branches of an If, with the weights they share around it."""
    shared = {}
    for graph in (further.graph, first.graph):
        names, own = {}, []
        for tensor in graph.initializer:
            data = onnx.numpy_helper.to_array(tensor)
            if data.nbytes < SHARED_BYTES:
                own.append(tensor)
                continue
            content = (data.shape, hashlib.sha256(data.tobytes()).digest())
            if content not in shared:
                shared[content] = onnx.numpy_helper.from_array(data, f"weight.{len(shared)}")
            names[tensor.name] = shared[content].name
        del graph.initializer[:]
        graph.initializer.extend(own)
        for node in graph.node:
            for i, name in enumerate(node.input):
                node.input[i] = names.get(name, name)
    inputs, outputs = list(further.graph.input), list(first.graph.output)
    returned = {output.name: output for output in further.graph.output}
    del further.graph.output[:]
    for output in outputs:
        # Nobody reads what a further step returns as the encoder's keys and values.
        if output.name not in returned:
            empty = helper.make_tensor(output.name, TensorProto.FLOAT, [0], [])
            further.graph.node.append(helper.make_node("Constant", [], [output.name], value=empty))
            returned[output.name] = helper.make_tensor_value_info(output.name, TensorProto.FLOAT, [0])
        further.graph.output.append(returned[output.name])
    for model in (first, further):
        del model.graph.input[:]
        del model.graph.value_info[:]
    choice = helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1])
    node = helper.make_node(
        "If",
        ["use_cache_branch"],
        [output.name for output in outputs],
        then_branch=further.graph,
        else_branch=first.graph,
    )
    results = [helper.make_tensor_value_info(o.name, o.type.tensor_type.elem_type, None) for o in outputs]
    graph = helper.make_graph([node], "decoder", [*inputs, choice], results, list(shared.values()))
    assert not first.functions and not further.functions
    return helper.make_model(graph, opset_imports=further.opset_import, ir_version=further.ir_version)


@torch.no_grad()
def main(source: str, side: int, folder: Path) -> None:
    torch.set_num_threads(2)
    model = checkpoint.save(source, folder)
    text = model.config.text_config
    heads, size = text.decoder_attention_heads, text.d_model // text.decoder_attention_heads

    say = lambda name: print(f"{name}.onnx", flush=True)  # noqa: E731
    say("vision_encoder")
    pixels = torch.zeros(1, 3, side, side)
    tokens = model.get_image_features(pixel_values=pixels).pooler_output.shape[1]
    export(folder / "vision_encoder.onnx", VisionEncoder(model), {"pixel_values": pixels}, ["image_features"], {})
    say("embed_tokens")
    ids = torch.zeros(1, 5, dtype=torch.long)
    embed = model.model.language_model.shared
    export(folder / "embed_tokens.onnx", embed, {"input_ids": ids}, ["inputs_embeds"], {"input_ids": [1]})
    say("encoder_model")
    source_embeds = torch.zeros(1, tokens + 9, text.d_model)
    dynamic = {"inputs_embeds": [1]}
    export(folder / "encoder_model.onnx", Encoder(model), {"inputs_embeds": source_embeds}, ["last_hidden_state"], dynamic)

    say("decoder_model_merged")
    names = [f"{layer}.{part}" for layer in range(text.decoder_layers) for part in PARTS]
    outputs = ["logits", *(f"present.{name}" for name in names)]
    step = {"inputs_embeds": torch.zeros(1, 1, text.d_model), "encoder_hidden_states": source_embeds}
    lengths = {part: tokens + 9 if part.startswith("encoder") else 3 for part in PARTS}
    past = {
        f"past_key_values.{name}": torch.zeros(1, heads, lengths[name.split(".", 1)[1]], size) for name in names
    }
    dynamic = {"encoder_hidden_states": [1], **{name: [2] for name in past}}
    with tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch) / "first.onnx", Path(scratch) / "further.onnx"]
        export(files[0], Decoder(model), step, outputs, dynamic)
        own = [name for name in outputs if ".encoder." not in name]
        export(files[1], Decoder(model), step | past, own, dynamic)
        onnx.save(merge(*map(onnx.load, files)), folder / "decoder_model_merged.onnx")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
