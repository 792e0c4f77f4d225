"""One model in every form in which people have Florence-2: python tests/reference/flavours.py

    python tests/reference/flavours.py                            tests/fixtures/flavours, a tiny model
    python tests/reference/flavours.py base FOLDER TOKENIZER      full size; TOKENIZER has the released vocab.json,
                                                                  merges.txt and tokenizer.json (5 added tokens)

writes a folder for each flavour and expected.json: the prompts with their ids, and the tokens that transformers
generates from them, which must be the same for all flavours but "adapter". All weights are exact in bfloat16 and in
float16, so that the flavours differ in nothing but their form.

What transformers can write is written by it (save_pretrained), LoRA by peft, pytorch_model.bin by torch.save and
huggingface_hub. Microsoft's layout has no code in transformers; it is made by the names of weights.py.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections import OrderedDict
from pathlib import Path

import torch
from huggingface_hub import save_torch_state_dict
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoTokenizer, Florence2Config, Florence2ForConditionalGeneration, PreTrainedTokenizerFast

import build
import weights
from model import FIXTURES, encode, perturb, photograph

PICTURE = "coffee.png"
NEW_TOKENS = 12
PROMPTS = {
    "<CAPTION>": "What does the image describe?",
    "<OD>": "Locate the objects with category name in the image.",
    "Where is <loc_5><loc_999>?": "Where is <loc_5><loc_999>?",
}
FLORENCE_TOKENS = (
    ["<od>", "</od>", "<ocr>", "</ocr>"]
    + [f"<loc_{k}>" for k in range(1000)]
    + ["<cap>", "</cap>", "<ncap>", "</ncap>", "<dcap>", "</dcap>", "<grounding>", "</grounding>"]
    + ["<seg>", "</seg>", "<sep>", "<region_cap>", "</region_cap>", "<region_to_desciption>"]
    + ["</region_to_desciption>", "<proposal>", "</proposal>", "<poly>", "</poly>", "<and>"]
)
TIED = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"]
SHARED, HEAD = "language_model.model.shared.weight", "language_model.lm_head.weight"
POSITIONS = "embed_positions.weight"
ROW = 64
SETTINGS = dict(
    num_beams=3, early_stopping=True, no_repeat_ngram_size=3, decoder_start_token_id=build.EOS,
    bos_token_id=build.BOS, pad_token_id=build.PAD, eos_token_id=build.EOS,
    forced_bos_token_id=build.BOS, forced_eos_token_id=build.EOS,
)  # fmt: skip


def tiny(vocabulary: int) -> dict:
    vision = build.vision([4, 8], [1, 1], [1, 2], [1, 2], 6, 4, positions=10, frames=2)
    vision |= {"patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1], "patch_prenorm": [False, True]}
    text = build.text(d_model=4, layers=1, heads=1, ffn=12, vocab=vocabulary, positions=96)
    return build.configuration(vision, text)


def exact(values) -> torch.Tensor:
    """The nearest values that bfloat16 and float16 both hold."""
    rounded = torch.from_numpy(values).bfloat16().float()
    return torch.where(rounded.abs() < 2.0**-14, 0.0, rounded)


class Flavours:
    def __init__(self, folder: Path, config: dict, side: int, tokenizer: Path):
        self.folder, self.config, self.side, self.source = folder, config, side, tokenizer
        self.shapes = weights.shapes(config)
        self.state = {name: exact(weights.tensor(name, shape)) for name, shape in self.shapes.items()}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    # Tokenizers.

    def microsoft_tokenizer(self, folder: Path) -> None:
        """BART's own with its 5 special tokens; Microsoft's processor adds the others at run time."""
        shutil.copy(self.source / "tokenizer.json", folder)

    def split_tokenizer(self, folder: Path) -> None:
        for name in ("vocab.json", "merges.txt"):
            shutil.copy(self.source / name, folder)
        first = len(json.loads((self.source / "vocab.json").read_text()))
        added = {token: first + k for k, token in enumerate(FLORENCE_TOKENS)}
        (folder / "added_tokens.json").write_text(json.dumps(added))

    def whole_tokenizer(self, folder: Path, *more: str) -> None:
        special = dict(bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>")
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(self.source / "tokenizer.json"), **special)
        tokenizer.add_tokens([*FLORENCE_TOKENS, *more], special_tokens=True)
        tokenizer.save_pretrained(folder)
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(json.loads(path.read_text()), separators=(",", ":"), ensure_ascii=False))

    # Configurations.

    def picture_config(self, folder: Path) -> None:
        size = {"height": self.side, "width": self.side}
        (folder / "preprocessor_config.json").write_text(json.dumps({"do_resize": True, "resample": 3, "size": size}))

    def microsoft_config(self, folder: Path, positions: int = 1, ids=(0, 1, 2)) -> None:
        """In the key names of Microsoft's repositories; ids are bos, pad and eos at the top level."""
        vision, text = dict(self.config["vision_config"]), dict(self.config["text_config"])
        vision["dim_embed"] = vision.pop("embed_dim")
        frames = vision.pop("max_temporal_embeddings")
        vision["visual_temporal_embedding"] = {"type": "COSINE", "max_temporal_embeddings": frames}
        vision["image_pos_embed"] = {"type": "learned_abs_2d", "max_pos_embeddings": vision.pop("max_position_embeddings")}
        vision["image_feature_source"] = ["spatial_avg_pool", "temporal_avg_pool"]
        for key in ("in_channels", "mlp_ratio", "qkv_bias", "activation_function"):
            del vision[key]
        text |= {"model_type": "florence2_language", "max_position_embeddings": positions * text["max_position_embeddings"]}
        top = {"model_type": "florence2", "projection_dim": text["d_model"], "vocab_size": text["vocab_size"]}
        top |= {"bos_token_id": ids[0], "pad_token_id": ids[1], "eos_token_id": ids[2]}
        top |= {"auto_map": {"AutoConfig": "configuration_florence2.Florence2Config"}}
        (folder / "config.json").write_text(json.dumps({**top, "vision_config": vision | {"model_type": "davit"}, "text_config": text}))
        (folder / "generation_config.json").write_text(json.dumps({"num_beams": 3, "early_stopping": False}))

    # Weights.

    def native(self, dtype=torch.float32) -> Florence2ForConditionalGeneration:
        """transformers' model, its table grown by <image> and by padding to a multiple of 64 as its converter does."""
        rows = self.config["text_config"]["vocab_size"]
        grown = json.loads(json.dumps(self.config))
        grown["text_config"]["vocab_size"] = math.ceil((rows + 1) / ROW) * ROW
        grown["image_token_id"] = rows
        model = self.filled(grown)
        model.generation_config.update(**SETTINGS)
        return model.to(dtype)

    def filled(self, config: dict) -> Florence2ForConditionalGeneration:
        model = Florence2ForConditionalGeneration(Florence2Config(**config, attn_implementation="eager")).eval()
        state = model.state_dict()
        with torch.no_grad():
            for name, values in self.state.items():
                target = weights.transformers_name(name)
                if target is None:
                    continue
                if name == "image_projection":
                    values = values.T
                if name == SHARED:
                    mean = exact(values.mean(0, keepdim=True).numpy())
                    values = torch.cat([values, mean.expand(len(state[target]) - len(values), -1)])
                state[target].copy_(values)
        return model

    def microsoft(self, dtype=torch.float16, positions: int = 1) -> OrderedDict:
        """Microsoft's layout; `positions` times as many rows of them, the first ones the same."""
        state = OrderedDict()
        for name, values in self.state.items():
            if name.endswith(POSITIONS) and positions > 1:
                rows, width = self.shapes[name]
                values = exact(weights.tensor(name, (positions * (rows - 2) + 2, width)))
            state[name] = values.to(dtype)
        return state

    # The flavours.

    def make(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        self.picture_config(folder)
        return folder

    def write(self) -> dict[str, list]:
        """Writes all; returns the tokens of transformers' own by flavour."""
        found = {"in memory": self.tokens(self.filled(self.config))}

        folder = self.make("transformers")
        self.native().save_pretrained(folder)
        self.whole_tokenizer(folder, "<image>")
        found[folder.name] = self.tokens(Florence2ForConditionalGeneration.from_pretrained(folder), False)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        ids = {text: tokenizer(text).input_ids for text in PROMPTS.values()}
        assert ids == {text: self.tokenizer()(text).input_ids for text in PROMPTS.values()}

        folder = self.make("transformers-sharded")
        self.native(torch.float16).save_pretrained(folder, max_shard_size=self.shard_bytes())
        self.microsoft_tokenizer(folder)

        folder = self.make("transformers-bfloat16")
        self.native(torch.bfloat16).save_pretrained(folder)
        self.split_tokenizer(folder)

        folder = self.make("transformers-head-only")
        model = self.native(torch.float16)
        model.save_pretrained(folder)
        state = model.state_dict()
        kept = {k: v for k, v in state.items() if "embed_tokens" not in k and "shared" not in k}
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
        self.microsoft_tokenizer(folder)

        folder = self.make("microsoft-bin")
        state = self.microsoft()
        for name in [HEAD, *(f"language_model.model.{name}" for name in TIED)]:
            state[name] = state[SHARED]
        torch.save(state, folder / "pytorch_model.bin")
        self.microsoft_config(folder, ids=(2, 0, 1))
        self.microsoft_tokenizer(folder)

        folder = self.make("microsoft-bin-sharded")
        save_torch_state_dict(state, folder, safe_serialization=False, max_shard_size=self.shard_bytes())
        self.microsoft_config(folder)
        self.microsoft_tokenizer(folder)

        folder = self.make("microsoft-long")
        save_file(self.microsoft(positions=4), folder / "model.safetensors", metadata={"format": "pt"})
        self.microsoft_config(folder, positions=4)
        self.whole_tokenizer(folder)

        folder = self.make("microsoft-repeated")
        save_file({k: v.clone() for k, v in state.items()}, folder / "model.safetensors", metadata={"format": "pt"})
        self.microsoft_config(folder)
        self.microsoft_tokenizer(folder)

        folder = self.make("adapter")
        model = self.native(torch.float16)
        model.save_pretrained(folder)
        self.microsoft_tokenizer(folder)
        # Trained in float32 beside weights in float16, as is usual.
        adapted = get_peft_model(model.float(), LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "fc1", "lm_head"]))
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter += torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5
        adapted.save_pretrained(folder)
        (folder / "README.md").unlink()
        found[folder.name] = self.tokens(adapted.base_model.model, False)

        expected = {"picture": PICTURE, "max_new_tokens": NEW_TOKENS, "prompts": []}
        for k, (task, text) in enumerate(PROMPTS.items()):
            assert found["in memory"][k] == found["transformers"][k], (found["in memory"][k], found["transformers"][k])
            tokens = {"tokens": found["transformers"][k], "adapter": found["adapter"][k]}
            assert tokens["tokens"] != tokens["adapter"]
            expected["prompts"].append({"task": task, "text": text, "input_ids": ids[text], **tokens})
        (self.folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")

    def shard_bytes(self) -> int:
        return sum(values.numel() for values in self.state.values())

    def tokenizer(self) -> PreTrainedTokenizerFast:
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(self.source / "tokenizer.json"))
        tokenizer.add_tokens(FLORENCE_TOKENS, special_tokens=True)
        return tokenizer

    def tokens(self, model, with_settings: bool = True) -> list[list[int]]:
        """What transformers generates, with its own defaults or with Florence-2's settings, stable under rounding."""
        model = model.float().eval()
        first = self.generated(model, SETTINGS if with_settings else {})
        saved = {name: value.clone() for name, value in model.state_dict().items()}
        for seed in (1, 2, 3):
            perturb(model, 1e-5, seed)
            assert self.generated(model, SETTINGS if with_settings else {}) == first, "near tie"
        model.load_state_dict(saved)
        return first

    def generated(self, model, settings: dict) -> list[list[int]]:
        tokenizer, found = self.tokenizer(), []
        config = {"image_token_id": model.config.image_token_id}
        pixels = torch.from_numpy(photograph(PICTURE, self.side)[None])
        with torch.no_grad():
            features = model.get_image_features(pixels).pooler_output
            for text in PROMPTS.values():
                ids, encoded = encode(model, config, features, tokenizer(text).input_ids)
                mask = torch.ones_like(ids)
                output = model.generate(
                    input_ids=ids, attention_mask=mask, encoder_outputs=encoded, max_new_tokens=NEW_TOKENS, **settings
                )
                found.append(output[0].tolist())
        return found


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(2)
    if sys.argv[1:2] == ["base"]:
        Flavours(Path(sys.argv[2]), build.BASE, 768, Path(sys.argv[3])).write()
    else:
        source = FIXTURES / "tokenizer"
        size = len(json.loads((source / "vocab.json").read_text())) + len(FLORENCE_TOKENS)
        Flavours(FIXTURES / "flavours", tiny(size), 48, source).write()
