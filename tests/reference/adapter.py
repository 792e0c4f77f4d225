"""LoRA adapters for the tiny model, as peft saves them: python tests/reference/adapter.py

Writes tests/fixtures/adapter/{linear,rslora,dora,biases,table,microsoft}/: the adapter's two files, and merged.safetensors,
every tensor that the adapter changes as it is then (transformers' names, float32; microsoft's are linear's).

    linear      ranks and alphas by pattern, fan_in_fan_out (which peft unsets for linear layers)
    rslora      float16; a convolution, the projector, the output head apart from the token table, biases,
                a module that was trained whole
    dora        lengths of rows, of linear layers, a convolution and the projector; ranks by regular expressions
    biases      additions to biases; alphas by regular expressions
    table       the token table, for input alone
    microsoft   the linear one under the names of Microsoft's layout
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.utils import ModulesToSaveWrapper
from safetensors.torch import load_file, save_file

import build
import weights

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "adapter"
PREFIX = "base_model.model."

LINEAR = dict(
    r=4,
    lora_alpha=6,
    target_modules=["q_proj", "fc1", "blocks.1.0.channel_block.channel_attn.proj"],
    rank_pattern={"fc1": 2, "encoder.layers.0.self_attn.q_proj": 3},
    alpha_pattern={"decoder.layers.1.fc1": 5, "fc1": 7},
    fan_in_fan_out=True,
)
RSLORA = dict(
    r=3,
    lora_alpha=4,
    use_rslora=True,
    bias="lora_only",
    target_modules=["window_attn.qkv", "v_proj", "convs.1.conv", "image_projection", "lm_head"],
    modules_to_save=["image_proj_norm"],
)
DORA = dict(
    r=3,
    lora_alpha=4,
    use_dora=True,
    target_modules=["q_proj", "fc2", "convs.1.conv", "image_projection"],
    rank_pattern={r"language_model\..*\.fc2": 2},
)
BIASES = dict(
    r=2,
    lora_alpha=3,
    lora_bias=True,
    target_modules=["v_proj", "channel_attn.qkv"],
    alpha_pattern={r"layers\.\d+\.(self|encoder)_attn\.v_proj": 7},
)
TABLE = dict(r=2, lora_alpha=3, target_modules=["shared"])


def trained(config: dict):
    """The tiny model with an adapter whose weights are all different from zero."""
    model = get_peft_model(build.build(build.TINY), LoraConfig(**config))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def merged(model) -> dict[str, torch.Tensor]:
    """What the model computes with: its adapter beside it, as a forward pass applies it."""
    found = {}
    for name, module in model.base_model.model.named_modules():
        if isinstance(module, LoraLayer):
            base = module.get_base_layer()
            module.merge()
            found[f"{name}.weight"] = base.weight.clone()
            if getattr(base, "bias", None) is not None:
                found[f"{name}.bias"] = base.bias
        elif isinstance(module, ModulesToSaveWrapper):
            for part, value in module.modules_to_save["default"].state_dict().items():
                found[f"{name}.{part}"] = value
    return {name: value.detach().clone().contiguous() for name, value in found.items()}


def write(name: str, config: dict, dtype: torch.dtype) -> None:
    folder = FOLDER / name
    model = trained(config)
    # What is stored is what is compared, whatever it was rounded to.
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype).float()
    model.save_pretrained(folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    for key in tensors:
        if not key.endswith("base_layer.weight"):
            tensors[key] = tensors[key].to(dtype)
    save_file(tensors, folder / "adapter_model.safetensors")
    save_file(merged(model), folder / "merged.safetensors")
    (folder / "README.md").unlink()


def write_microsoft() -> None:
    """The linear adapter as it is called when it was trained on Microsoft's own code."""
    source, folder = FOLDER / "linear", FOLDER / "microsoft"
    modules = {}
    for name in weights.shapes(build.TINY):
        renamed = weights.transformers_name(name)
        if renamed is not None:
            modules[renamed.rpartition(".")[0]] = name.rpartition(".")[0]
    tensors = {}
    for key, value in load_file(source / "adapter_model.safetensors").items():
        module, part = key.removeprefix(PREFIX).split(".lora_")
        tensors[f"{PREFIX}{modules[module]}.lora_{part}"] = value
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    shutil.copy(source / "adapter_config.json", folder)


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    write("linear", LINEAR, torch.float32)
    write("rslora", RSLORA, torch.float16)
    write("dora", DORA, torch.float32)
    write("biases", BIASES, torch.float32)
    write("table", TABLE, torch.float32)
    write_microsoft()
    for path in sorted(FOLDER.rglob("*")):
        print(f"{path.relative_to(FOLDER)}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
