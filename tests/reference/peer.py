"""Transformers in PyTorch, timed for `npm run bench:peers`, which speaks to it in lines of JSON.

The first line is the question: the model's folder, the normalised pixels (float32, base64), the prompt, how many
tokens to give and by which rules, the device ("cpu" or "cuda"), the threads of the CPU, and whether to compile. Each further line asks for
the caption once more. Answers are lines, too. On a GPU weights are in half precision; attention is PyTorch's own
(SDPA).
"""

from __future__ import annotations

import base64
import json
import resource
import sys
import time

import numpy as np
import torch
from transformers import Florence2ForConditionalGeneration
from transformers import __version__ as version


class Marks:
    """When the decoder is called for the first time, and when it has given its first logits."""

    def __init__(self, decoder: torch.nn.Module, head: torch.nn.Module, device: str):
        self._device = device
        decoder.register_forward_pre_hook(lambda *_: self._note("seen"))
        head.register_forward_hook(lambda *_: self._note("first"))

    def begin(self) -> None:
        self._times = {"start": self.now()}

    def _note(self, name: str) -> None:
        if name not in self._times:
            self._times[name] = self.now()

    def end(self) -> list[float]:
        return [*self._times.values(), self.now()]

    def now(self) -> float:
        if self._device == "cuda":
            torch.cuda.synchronize()
        return 1000 * time.perf_counter()


def say(answer: dict) -> None:
    print(json.dumps(answer), flush=True)


@torch.inference_mode()
def main() -> None:
    question = json.loads(sys.stdin.readline())
    device, is_compiled = question["device"], question["compiled"]
    if device == "cuda" and not torch.cuda.is_available():
        return say({"error": "PyTorch finds no CUDA device"})
    dtype = torch.float16 if device == "cuda" else torch.float32
    torch.set_num_threads(question["threads"])
    start = time.perf_counter()
    model = Florence2ForConditionalGeneration.from_pretrained(question["folder"], dtype=dtype, attn_implementation="sdpa")
    model = model.to(device).eval()
    parts = model.model
    if is_compiled:
        for part in (parts.vision_tower, parts.language_model.encoder, parts.language_model.decoder):
            # Not the module itself: its hooks stay outside.
            part.forward = torch.compile(part.forward, mode="reduce-overhead")
    marks = Marks(parts.language_model.decoder, model.lm_head, device)
    side, pixels = question["side"], np.frombuffer(base64.b64decode(question["pixels"]), np.float32)
    pixel_values = torch.from_numpy(pixels.reshape(1, 3, *side).copy()).to(device, dtype)
    places = parts.get_image_features(pixel_values).pooler_output.shape[1]
    input_ids = torch.tensor([[model.config.image_token_id] * places + question["prompt"]], device=device)
    rules = {**question["rules"], "num_beams": 1, "do_sample": False}
    if is_compiled:
        rules["cache_implementation"] = "static"
    how = ["compiled"] * is_compiled + ["f16" if device == "cuda" else "f32"]
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    say(
        {
            "version": f"transformers {version}, torch {torch.__version__}, {', '.join(how)}, on {name}",
            "ms": 1000 * (time.perf_counter() - start),
        }
    )
    for _ in sys.stdin:
        marks.begin()
        found = model.generate(input_ids=input_ids, pixel_values=pixel_values, **rules)
        times = marks.end()
        if device == "cuda":
            peak = torch.cuda.max_memory_allocated()
        else:
            peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        say({"tokens": found[0].tolist()[1:], "marks": times, "peakBytes": peak})


main()
