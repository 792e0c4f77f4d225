"""Train the nano checkpoint from nothing.

    python checkpoints/nano/training/train.py

A small Florence-2 that is trained jointly from scratch learns the form of the
answers and ignores the picture. So there are five phases, each with its minutes:

spell  the first stages of the vision tower, on sheets of characters, with a throw-away
       head that names the character at each place: asked for it only where the tower
       ends, the same characters take some twenty times as long to learn;
see    the whole tower, with that head and another one that tells what lies in each
       cell of a fine grid and where the cell's thing begins and ends;
align  the projector alone, with throw-away heads that ask each image token for the
       tokens of its thing, so that image tokens speak the language model's language;
read   the projector and the language model, on the tower's features;
join   everything, with the losses of all of these heads and answers about each picture.

Pictures and the state of the run are kept in the ignored folder `.cache`; an
interrupted run goes on where its state was last saved.
"""

import argparse
import copy
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

import answers
import evaluate
import scenes
import tokens
from optimizer import Muon
from pictures import GRID, IGNORED, MEAN, STD, WORD_TOKENS, Pictures, resized

matplotlib.use("Agg")
from matplotlib import pyplot

HERE = Path(__file__).parent.parent
MINUTES = {"spell": 9, "see": 24, "align": 1.5, "read": 22, "join": 25}
# Of matrices; everything else learns at VECTOR_RATE.
RATES = {"spell": 2e-3, "see": 2e-3, "align": 3e-3, "read": 3e-3, "join": 1.5e-3}
VECTOR_RATE = 1e-3
BATCHES = {"spell": 32, "see": 32, "align": 64, "read": 96, "join": 32}
# Tasks that are asked more often than the others.
WEIGHTS = {
    "<CAPTION>": 3,
    "<OD>": 4,
    "<OCR>": 5,
    "<OCR_WITH_REGION>": 6,
    "<REFERRING_EXPRESSION_SEGMENTATION>": 8,
    "<REGION_TO_SEGMENTATION>": 5,
    "<REGION_TO_OCR>": 2,
}
# The share of sheets among the pictures of `see`, and questions about each picture of `join`.
SHEETS = 0.5
QUESTIONS = 4
SAVED_EVERY = 4.0

INPUT = 128
SIDE = GRID
FEATURES = 192
# The number of stages that `spell` trains, their channels and their map's side.
SPELLING, SPELLING_FEATURES, SPELLING_SIDE = 2, 64, 16
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
    model.generation_config.update(**SPECIAL_IDS, **FORCED_IDS, **SEARCH)
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


class SpellingHead(nn.Sequential):
    """The mark at the centre of every token of an early map."""

    def __init__(self):
        super().__init__(nn.LayerNorm(SPELLING_FEATURES), nn.Linear(SPELLING_FEATURES, len(scenes.MARK_NAMES)))

    def loss(self, features, marks):
        """Cross entropy of the marks [N, rows, columns] that the map [N, channels, side, side] tells."""
        centres = (torch.arange(SPELLING_SIDE) + 0.5) * marks.shape[1] / SPELLING_SIDE
        there = marks[:, centres.long()][:, :, centres.long()]
        return F.cross_entropy(self(features.flatten(2).transpose(1, 2)).flatten(0, 1), there.flatten())


class TokenHeads(nn.Module):
    """What each image token knows of its thing, read off with the language model's embeddings."""

    def __init__(self):
        super().__init__()
        self.labels = nn.Linear(WIDTH, 1 + len(scenes.LOOKS))
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
        self.state = self.work / "state.pt"
        self.pictures = Pictures(self.work, INPUT, options.pictures)
        self.sheets = Pictures(self.work, INPUT, options.sheets, "sheets")
        self.tokenizer = tokens.build_tokenizer(self.pictures.scenes[:400])
        self.model = build_model(self.tokenizer)
        self.tower = self.model.model.vision_tower
        stages = [nn.Sequential(conv, *blocks) for conv, blocks in zip(self.tower.convs, self.tower.blocks)]
        self.early, self.late = nn.Sequential(*stages[:SPELLING]), nn.Sequential(*stages[SPELLING:])
        self.projector = self.model.model.multi_modal_projector
        self.heads = nn.ModuleDict({"spelling": SpellingHead(), "dense": DenseHead(), "token": TokenHeads()})
        self.token_loss = TokenLoss(self.tokenizer.token_to_id("<loc_0>"))
        self.features = None
        self.minutes = 0.0

    def run(self):
        """All phases that are not finished yet, then the checkpoint and the plot."""
        saved = torch.load(self.state) if self.state.exists() else None
        earlier = saved or (torch.load(self.options.model) if self.options.model else None)
        if earlier:
            self.model.load_state_dict(earlier["model"])
            self.heads.load_state_dict(earlier["heads"])
            self.minutes = earlier["minutes"]
        else:
            self.log.write_text("")
        phases = list(MINUTES)
        for phase in phases[phases.index(saved["phase"] if saved else self.options.first) :]:
            self.run_phase(phase, saved)
            saved = None
            if phase in ("read", "join"):
                self.write(phase, probe(self.model, self.tokenizer))
                export(self.model, self.tokenizer, self.options.output)
        plot(self.log, self.options.output / "training.png")

    def optimizers(self, phase):
        """Muon for the matrices that a phase trains, AdamW for tables, vectors and convolutions."""
        language = [p for n, p in self.model.named_parameters() if "vision_tower" not in n]
        table = self.model.get_input_embeddings().weight
        dense = [*self.heads["spelling"].parameters(), *self.heads["dense"].parameters()]
        weights = {
            "spell": [*self.early.parameters(), *self.heads["spelling"].parameters()],
            "see": [*self.tower.parameters(), *dense],
            "align": [*self.projector.parameters(), *self.heads["token"].parameters(), table],
            "read": [*language, *self.heads["token"].parameters()],
            "join": [*self.model.parameters(), *self.heads.parameters()],
        }[phase]
        tables = {id(module.weight) for module in self.model.modules() if isinstance(module, nn.Embedding)}
        heads = {id(weight) for weight in self.heads.parameters()}
        matrices = [w for w in weights if w.ndim == 2 and id(w) not in tables | heads]
        taken = {id(weight) for weight in matrices}
        others = [weight for weight in weights if id(weight) not in taken]
        return [
            Muon(matrices, RATES[phase]),
            torch.optim.AdamW(others, VECTOR_RATE, betas=(0.9, 0.98), weight_decay=0.02),
        ]

    def run_phase(self, phase, saved):
        """The steps of one phase until its time is up; after a short rise the rate falls to zero."""
        optimizers = self.optimizers(phase)
        rates = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
        start = self.minutes
        if saved:
            start = saved["start"]
            for optimizer, state in zip(optimizers, saved["optimizers"]):
                optimizer.load_state_dict(state)
        limit = MINUTES[phase] * self.options.scale
        unfinished = self.minutes - start < limit
        if phase in ("align", "read") and self.features is None and unfinished:
            self.features = self.cached_features()
        begin, before = time.time(), self.minutes
        step, reported, kept, averages = 0, before, before, {}
        while (share := (self.minutes - start) / limit) < 1:
            for optimizer, rate in zip(optimizers, rates):
                for group in optimizer.param_groups:
                    group["lr"] = rate * min(1, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * share))
            losses = getattr(self, phase)(share)
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            sum(losses.values()).backward()
            weights = [w for o in optimizers for group in o.param_groups for w in group["params"]]
            nn.utils.clip_grad_norm_(weights, 1.0)
            for optimizer in optimizers:
                optimizer.step()
            step += 1
            self.minutes = before + (time.time() - begin) / 60
            for name, value in losses.items():
                averages[name] = 0.98 * averages.get(name, value.item()) + 0.02 * value.item()
            if self.minutes - reported > 0.5:
                self.pictures.gather()
                self.sheets.gather()
                self.write(phase, {"step": step, "pictures": len(self.pictures), **averages})
                reported = self.minutes
            if self.minutes - kept > SAVED_EVERY:
                self.save(phase, start, optimizers)
                kept = self.minutes
        self.save(phase, start, optimizers)

    def save(self, phase, start, optimizers):
        """Keep everything that an interrupted run needs to go on."""
        state = {
            "phase": phase,
            "start": start,
            "minutes": self.minutes,
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        }
        unfinished = self.state.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.rename(self.state)

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

    def spell(self, _share):
        """The loss of the characters of sheets."""
        indices = self.some(BATCHES["spell"], len(self.sheets))
        early = self.early(self.sheets.pixels(indices))
        marks, _ = self.sheets.dense(indices)
        return {"characters": self.heads["spelling"].loss(early, marks)}

    def see(self, _share):
        """Losses of the dense tasks, on scenes and sheets: reading needs the most practice."""
        practice = round(SHEETS * BATCHES["see"])
        scenes, sheets = BATCHES["see"] - practice, practice
        _, losses = self.seen(self.some(scenes, len(self.pictures)), self.some(sheets, len(self.sheets)))
        return losses

    def seen(self, indices, practice):
        """The tower's features of some scenes, and the dense losses on them and on some sheets."""
        pixels = torch.cat([self.pictures.pixels(indices), self.sheets.pixels(practice)])
        parts = zip(self.pictures.dense(indices), self.sheets.dense(practice))
        marks, boxes = map(torch.cat, parts)
        early = self.early(pixels)
        features = self.late(early)
        cells = self.heads["dense"](features)
        known = ~boxes[..., 0].isnan()
        return features[: len(indices)], {
            "characters": self.heads["spelling"].loss(early, marks),
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
        return self.heads["token"](image, self.pictures.cells(indices, self.tokenizer), embeddings, self.token_loss)

    def align(self, _share):
        """The loss of what the image tokens know."""
        indices = self.some(BATCHES["align"], len(self.features))
        image = self.projector(self.features[indices].float())
        return {"known": self.knowledge(image, indices)}

    def read(self, share):
        """Losses of one task for each of many pictures, and of what their tokens know."""
        indices = self.some(BATCHES["read"], len(self.features))
        image = self.projector(self.features[indices].float())
        third = len(indices) // 3
        known = 0.3 * self.knowledge(image[:third], indices[:third])
        return {**self.answer(image, indices, 30 * 0.1**share), "known": known}

    def join(self, share):
        """Losses of everything: what features and tokens know, and answers about each scene."""
        indices = self.some(BATCHES["join"], len(self.pictures))
        features, losses = self.seen(indices, self.some(BATCHES["join"] // 2, len(self.sheets)))
        image = self.projector(features)
        known = self.knowledge(image, indices)
        image, indices = image.repeat_interleave(QUESTIONS, 0), np.repeat(indices, QUESTIONS)
        return {**losses, **self.answer(image, indices, 3 * 0.3**share), "known": known}

    def question(self, scene):
        """Ids of the prompt and of the answer to something that can be asked about a scene."""
        tasks = {}
        for task, text, answer, _ in answers.items(scene):
            tasks.setdefault(task, []).append((answers.prompt(task, text), answer))
        weights = [WEIGHTS.get(task, 1) for task in tasks]
        [asked] = self.random.choices(list(tasks.values()), weights)
        return [torch.tensor(self.tokenizer.encode(text).ids) for text in self.random.choice(asked)]

    def answer(self, image, indices, spread):
        """Losses of the answer to one question about each of some pictures, given their image tokens."""
        asked, given = zip(*(self.question(self.pictures.scenes[i]) for i in indices))
        labels = nn.utils.rnn.pad_sequence(given, batch_first=True, padding_value=IGNORED)
        start = torch.full((len(labels), 1), FORCED_IDS["decoder_start_token_id"])
        pad = SPECIAL_IDS["pad_token_id"]
        given = labels.masked_fill(labels == IGNORED, pad)
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
    known = [evaluate.truths(scene) for scene in drawn]
    figures, _ = evaluate.measure(model.eval(), tokenizer, pixels, known, num_beams=1)
    model.train()
    return figures


def export(model, tokenizer, folder):
    """Write the half-precision checkpoint with its configuration and tokenizer files."""
    tokens.write_files(tokenizer, folder)
    copy.deepcopy(model).half().save_pretrained(folder)
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
    for name in ("characters", "marks", "edges", "known", "words", "locations"):
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
    parser.add_argument("--model", type=Path, help="begin with what the state of an earlier run has learned")
    parser.add_argument("--first", choices=MINUTES, default="spell", help="the phase to begin with")
    parser.add_argument("--cached", type=int, default=12000, help="pictures of align and read")
    parser.add_argument("--pictures", type=int, default=40000, help="training pictures to draw")
    parser.add_argument("--sheets", type=int, default=8000, help="sheets of characters to draw")
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=HERE)
    Trainer(parser.parse_args()).run()


if __name__ == "__main__":
    main()
