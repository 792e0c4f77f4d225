"""Train the nano checkpoint from nothing.

    python checkpoints/nano/train.py

A small Florence-2 that is trained jointly from scratch learns the form of the
answers and ignores the picture. So there are four phases, each with its minutes:

see    the vision tower alone, with a throw-away head that tells what lies in each
       cell of a fine grid and where the cell's thing begins and ends;
align  the projector alone, with throw-away heads that ask each image token for the
       tokens of its thing, so that image tokens speak the language model's language;
read   the projector and the language model, on the tower's features;
join   everything, with the losses of all of these heads and one answer for each picture.

Pictures and finished phases are kept in the ignored folder `.cache`; an
interrupted run goes on after its last finished phase.
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import matplotlib
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import Florence2Config, Florence2ForConditionalGeneration

import evaluate
import scenes
import tokens
from pictures import GRID, IGNORED, MEAN, STD, WORD_TOKENS, Pictures, resized

matplotlib.use("Agg")
from matplotlib import pyplot

HERE = Path(__file__).parent
MINUTES = {"see": 15, "align": 1.7, "read": 15.3, "join": 30}
RATES = {"see": 1.5e-3, "align": 3e-3, "read": 1.5e-3, "join": 1e-3}
BATCHES = {"see": 32, "align": 64, "read": 96, "join": 32}
# Boxes need the most practice.
READ_TASKS = ["<OD>", "<OD>", "<OCR>", "<CAPTION>"]
JOIN_TASKS = list(scenes.PROMPTS)

INPUT = 128
SIDE = GRID
FEATURES = 192
WIDTH = 128
LOCATIONS = 1000
VISION = {
    "embed_dim": [32, 64, 128, FEATURES],
    "depths": [1, 1, 3, 1],
    "num_heads": [1, 2, 4, 6],
    "num_groups": [1, 2, 4, 6],
    # The last stage keeps its side, so that SIDE x SIDE tokens remain.
    "patch_stride": [4, 2, 2, 1],
    "window_size": SIDE,
    "projection_dim": WIDTH,
    "drop_path_rate": 0.0,
}
SPECIAL_IDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
FORCED_IDS = {"decoder_start_token_id": 2, "forced_bos_token_id": 0, "forced_eos_token_id": 2}
SEARCH = {"num_beams": 3, "early_stopping": True, "no_repeat_ngram_size": 3}
TEXT = {
    "model_type": "bart",
    "d_model": WIDTH,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 4 * WIDTH,
    "decoder_ffn_dim": 4 * WIDTH,
    "max_position_embeddings": 512,
    # Wide enough for a model as narrow as this to start learning at once.
    "init_std": 0.07,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    **SPECIAL_IDS,
    **FORCED_IDS,
}


def build_model(tokenizer):
    """A fresh model with ordered tables: near positions and near locations begin alike."""
    config = Florence2Config(
        vision_config=VISION,
        text_config={**TEXT, "vocab_size": tokenizer.get_vocab_size()},
        image_token_id=tokenizer.token_to_id(tokens.IMAGE),
        **SPECIAL_IDS,
    )
    model = Florence2ForConditionalGeneration(config)
    first = tokenizer.token_to_id("<loc_0>")
    positions = model.model.multi_modal_projector.image_position_embed
    with torch.no_grad():
        shared = model.get_input_embeddings().weight
        shared[first : first + LOCATIONS] = 0.1 * waves(LOCATIONS, WIDTH, 2.0)
        for table in (positions.row_embeddings, positions.column_embeddings):
            table.weight.copy_(waves(*table.weight.shape, 1.0))
    return model


def waves(count, width, longest):
    """A [count, width] table of sines and cosines; their lengths fall from longest * count."""
    places = torch.arange(count)[:, None] / count
    frequencies = torch.logspace(0, math.log2(64 * longest), width // 2, base=2) / longest
    angles = 2 * math.pi * places * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class DenseHead(nn.Module):
    """What lies in each of the fine cells of every token: a mark, and its thing's box."""

    def __init__(self):
        super().__init__()
        self.cells = scenes.SIZE // scenes.CELL // SIDE
        self.norm = nn.LayerNorm(FEATURES)
        self.out = nn.Linear(FEATURES, self.cells**2 * (len(scenes.MARK_NAMES) + 4))

    def forward(self, features):
        """Mark scores and box edges of the fine grid, [N, rows, columns, marks + 4]."""
        known = self.out(self.norm(features.flatten(2).transpose(1, 2)))
        fine = SIDE * self.cells
        blocks = known.view(len(known), SIDE, SIDE, self.cells, self.cells, -1)
        return blocks.transpose(2, 3).reshape(len(known), fine, fine, -1)


class TokenHeads(nn.Module):
    """What each image token knows of its thing, read off with the language model's embeddings."""

    def __init__(self):
        super().__init__()
        self.labels = nn.Linear(WIDTH, 1 + len(scenes.KINDS))
        self.corners = nn.Linear(WIDTH, 4 * WIDTH)
        self.words = nn.Linear(WIDTH, WORD_TOKENS * WIDTH)

    def forward(self, image, cells, embeddings, token_loss):
        """The summed loss of labels, boxes and printed words."""
        image, cells = image[:, 1:].flatten(0, 1), cells.flatten(0, 1)
        thing, printed = cells[:, 0] > 0, cells[:, 5] != IGNORED
        places = embeddings[token_loss.first : token_loss.first + LOCATIONS]
        corners = self.corners(image[thing]).view(-1, WIDTH) @ places.T
        bells = token_loss.bells(cells[thing, 1:5].flatten(), 4.0)
        words = self.words(image[printed]).view(-1, WIDTH) @ embeddings.T
        return (
            F.cross_entropy(self.labels(image), cells[:, 0])
            - 0.5 * (bells * corners.log_softmax(-1)).sum(-1).mean()
            + F.cross_entropy(words, cells[printed, 5:].flatten())
        )


class TokenLoss:
    """Cross entropy whose target for a location is a bell over its neighbours."""

    def __init__(self, first_location):
        self.first = first_location
        places = torch.arange(float(LOCATIONS))
        self.distances = (places[:, None] - places) ** 2

    def bells(self, bins, spread):
        """A Gaussian over the locations around each bin."""
        return torch.softmax(-self.distances[bins] / (2 * spread**2), -1)

    def __call__(self, logits, labels, spread):
        """Mean losses of the words and of the locations; near misses of a location cost less."""
        scores = logits.log_softmax(-1)
        located = (labels >= self.first) & (labels < self.first + LOCATIONS)
        words = (labels != IGNORED) & ~located
        word_loss = F.nll_loss(scores[words], labels[words])
        bells = self.bells(labels[located] - self.first, spread)
        places = scores[located][:, self.first : self.first + LOCATIONS]
        location_loss = -(bells * places).sum() / max(len(bells), 1)
        return {"words": word_loss, "locations": location_loss}


class Trainer:
    """The phases, their schedule, their log and the checkpoint."""

    def __init__(self, options):
        torch.manual_seed(options.seed)
        torch.set_num_threads(options.threads)
        self.options = options
        self.random = random.Random(options.seed)
        self.work = HERE / ".cache"
        self.work.mkdir(exist_ok=True)
        self.log = HERE / "training.jsonl"
        self.tokenizer = tokens.build_tokenizer()
        self.prompts = {
            task: torch.tensor(self.tokenizer.encode(prompt).ids)
            for task, prompt in scenes.PROMPTS.items()
        }
        self.model = build_model(self.tokenizer)
        self.tower = self.model.model.vision_tower
        self.projector = self.model.model.multi_modal_projector
        self.heads = nn.ModuleDict({"dense": DenseHead(), "token": TokenHeads()})
        self.token_loss = TokenLoss(self.tokenizer.token_to_id("<loc_0>"))
        self.pictures = Pictures(self.work, INPUT, options.pictures, self.tokenizer)
        self.minutes = 0.0

    def run(self):
        """All phases that are not finished yet, then the checkpoint and the plot."""
        if not any(self.work.glob("*.pt")):
            self.log.write_text("")
        for phase in MINUTES:
            finished = self.work / f"{phase}.pt"
            if finished.exists():
                state = torch.load(finished)
                self.model.load_state_dict(state["model"])
                self.heads.load_state_dict(state["heads"])
                self.minutes = state["minutes"]
                continue
            self.run_phase(phase)
            state = {"model": self.model.state_dict(), "heads": self.heads.state_dict()}
            torch.save({**state, "minutes": self.minutes}, finished)
            if phase in ("read", "join"):
                self.write(phase, probe(self.model, self.tokenizer))
        export(self.model, self.tokenizer, self.options.output)
        plot(self.log, self.options.output / "training.png")

    def run_phase(self, phase):
        """The steps of one phase until its time is up; after a short rise the rate falls to zero."""
        language = [p for n, p in self.model.named_parameters() if "vision_tower" not in n]
        weights = {
            "see": [*self.tower.parameters(), *self.heads["dense"].parameters()],
            "align": [
                *self.projector.parameters(),
                *self.heads["token"].parameters(),
                self.model.get_input_embeddings().weight,
            ],
            "read": [*language, *self.heads["token"].parameters()],
            "join": [*self.model.parameters(), *self.heads.parameters()],
        }[phase]
        optimizer = torch.optim.AdamW(weights, betas=(0.9, 0.98), weight_decay=0.02)
        if phase in ("align", "read"):
            self.features = self.cached_features()
        limit = MINUTES[phase] * self.options.scale
        begin, start = time.time(), self.minutes
        step, reported, averages = 0, start, {}
        while (share := (self.minutes - start) / limit) < 1:
            for group in optimizer.param_groups:
                fall = 0.5 + 0.5 * math.cos(math.pi * share)
                group["lr"] = RATES[phase] * min(1, (step + 1) / 100) * fall
            losses = getattr(self, phase)(share)
            optimizer.zero_grad(set_to_none=True)
            sum(losses.values()).backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            step += 1
            self.minutes = start + (time.time() - begin) / 60
            for name, value in losses.items():
                averages[name] = 0.98 * averages.get(name, value.item()) + 0.02 * value.item()
            if self.minutes - reported > 0.5:
                self.write(phase, {"step": step, "seen": step * BATCHES[phase], **averages})
                reported = self.minutes

    def write(self, phase, figures):
        """Append one line to the log."""
        rounded = {name: round(value, 4) for name, value in figures.items()}
        row = {"phase": phase, "minutes": round(self.minutes, 2), **rounded}
        with open(self.log, "a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        print(row, flush=True)

    def some(self, count, total):
        """Random numbers of pictures among the first `total` ones."""
        return [self.random.randrange(total) for _ in range(count)]

    def see(self, _share):
        """Losses of the dense task."""
        indices = self.some(BATCHES["see"], len(self.pictures))
        features = self.tower(self.pictures.pixels(indices)).last_hidden_state
        return self.seen(features, indices)

    def seen(self, features, indices):
        """Losses of the dense head on the features of some pictures."""
        cells = self.heads["dense"](features)
        marks, boxes = self.pictures.dense(indices)
        known = ~boxes[..., 0].isnan()
        return {
            "marks": F.cross_entropy(cells[..., :-4].flatten(0, 2), marks.flatten()),
            "edges": 4 * (cells[..., -4:][known] - boxes[known]).abs().mean(),
        }

    @torch.no_grad()
    def cached_features(self):
        """The tower's maps of the first pictures, in half precision."""
        count = min(self.options.cached, len(self.pictures))
        parts = torch.arange(count).split(50)
        return torch.cat(
            [self.tower(self.pictures.pixels(part)).last_hidden_state.half() for part in parts]
        )

    def knowledge(self, image, indices):
        """The loss of the token heads on the image tokens of some pictures."""
        embeddings = self.model.get_input_embeddings().weight
        return self.heads["token"](image, self.pictures.cells(indices), embeddings, self.token_loss)

    def align(self, _share):
        """The loss of what the image tokens know."""
        indices = self.some(BATCHES["align"], len(self.features))
        image = self.projector(self.features[indices].float())
        return {"known": self.knowledge(image, indices)}

    def read(self, share):
        """Losses of one task for each of many pictures, and of what their tokens know."""
        indices = self.some(BATCHES["read"], len(self.features))
        tasks = [self.random.choice(READ_TASKS) for _ in indices]
        image = self.projector(self.features[indices].float())
        third = len(indices) // 3
        known = 0.3 * self.knowledge(image[:third], indices[:third])
        return {**self.answer(image, indices, tasks, 30 * 0.1**share), "known": known}

    def join(self, _share):
        """Losses of everything: one task for each picture, and what features and tokens know."""
        indices = self.some(BATCHES["join"], len(self.pictures))
        tasks = [self.random.choice(JOIN_TASKS) for _ in indices]
        features = self.tower(self.pictures.pixels(indices)).last_hidden_state
        image = self.projector(features)
        return {
            **self.seen(features, indices),
            **self.answer(image, indices, tasks, 4.0),
            "known": self.knowledge(image, indices),
        }

    def answer(self, image, indices, tasks, spread):
        """Losses of the answers to tasks about pictures, given their image tokens."""
        answers = [torch.tensor(self.pictures.answers[i][t]) for i, t in zip(indices, tasks)]
        labels = nn.utils.rnn.pad_sequence(answers, batch_first=True, padding_value=IGNORED)
        start = torch.full((len(labels), 1), FORCED_IDS["decoder_start_token_id"])
        pad = SPECIAL_IDS["pad_token_id"]
        given = labels.masked_fill(labels == IGNORED, pad)
        asked = [self.prompts[task] for task in tasks]
        prompts = nn.utils.rnn.pad_sequence(asked, batch_first=True, padding_value=pad)
        mask = torch.cat([torch.ones(image.shape[:2]), prompts != pad], dim=1).long()
        hidden = self.model.model.language_model(
            inputs_embeds=torch.cat([image, self.model.get_input_embeddings()(prompts)], dim=1),
            attention_mask=mask,
            decoder_input_ids=torch.cat([start, given[:, :-1]], dim=1),
            use_cache=False,
        ).last_hidden_state
        # The first token of an answer is forced, so it is not learned.
        return self.token_loss(self.model.lm_head(hidden[:, 1:]), labels[:, 1:], spread)


def probe(model, tokenizer, count=100):
    """Figures of a model on scenes that belong to neither training nor the held-out pictures."""
    drawn = [scenes.make_scene("probe", index) for index in range(count)]
    pixels = np.stack([resized(scene.image, INPUT) for scene in drawn])
    truths = [scenes.truth(scene) for scene in drawn]
    return evaluate.measure(model.eval(), tokenizer, pixels, truths, num_beams=1)[0]


def export(model, tokenizer, folder):
    """Write the half-precision checkpoint with its configuration and tokenizer files."""
    tokens.write_files(tokenizer, folder)
    model.generation_config.update(**SPECIAL_IDS, **FORCED_IDS, **SEARCH)
    model.half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"].update({**FORCED_IDS, **SEARCH})
    tokens.write_json(folder / "config.json", config)
    side = {"height": INPUT, "width": INPUT}
    preprocessor = {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "Florence2Processor",
        "do_resize": True,
        "size": side,
        "resample": 3,
        "do_center_crop": False,
        "crop_size": side,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [round(value, 3) for value in MEAN.tolist()],
        "image_std": [round(value, 3) for value in STD.tolist()],
        "do_convert_rgb": None,
        "image_seq_length": 1 + SIDE**2,
    }
    tokens.write_json(folder / "preprocessor_config.json", preprocessor)


def plot(log, path):
    """Draw the losses of the phases and the measured figures over the minutes."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    figure, (losses, metrics) = pyplot.subplots(2, 1, figsize=(8, 7), sharex=True)
    for name in ("marks", "edges", "known", "words", "locations"):
        known = [row for row in rows if name in row]
        losses.plot([row["minutes"] for row in known], [row[name] for row in known], label=name)
    for name in ("map50", "captions_right", "character_error_rate"):
        known = [row for row in rows if name in row]
        metrics.plot([row["minutes"] for row in known], [row[name] for row in known], "o-", label=name)
    losses.set(yscale="log", ylabel="loss")
    metrics.set(ylim=(0, 1), ylabel="figure", xlabel="minutes")
    for axes in (losses, metrics):
        axes.legend()
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main():
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1, help="factor on the minutes of all phases")
    parser.add_argument("--cached", type=int, default=5000, help="pictures of align and read")
    parser.add_argument("--pictures", type=int, default=24000, help="training pictures to draw")
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=HERE)
    Trainer(parser.parse_args()).run()


if __name__ == "__main__":
    main()
