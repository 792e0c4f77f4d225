import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { GpuRunner } from "../core/gpu/gpu_runner.ts";
import type { Runner } from "../core/runner.ts";
import { BYTES_PER_ELEMENT, type Dtype, type Tensor } from "../core/tensor.ts";
import { openFile } from "../files/files.ts";
import { packageFile } from "../files/package_files.ts";
import type { Florence2Config } from "../model/config/config.ts";
import { DecodingSession, FIRST_STEPS, type Question, STEPS_PER_SUBMIT } from "../model/decoding_session.ts";
import { Florence2 } from "../model/florence2.ts";
import {
  type GenerationOptions,
  type GenerationSettings,
  generationSettings,
} from "../model/generation/options.ts";
import { loadImage } from "../model/image/load.ts";
import { pixelsOf } from "../model/image/preprocess.ts";
import { resolveTask } from "../model/tasks/index.ts";
import { VisionSession } from "../model/vision_session.ts";
import { loadWeights, type Weights } from "../model/weights/load_weights.ts";
import type { WeightsDtype } from "../model/weights/loader.ts";
import type { Subject } from "./subjects.ts";
import { type Effort, type Measured, measure, type Work } from "./timing.ts";
import type { Observer } from "./watch.ts";

/** One phase of the answers to a batch of questions. */
export interface PhaseRow extends Measured {
  readonly phase: string;
  readonly batch: number;
  /** How many tokens each question got from it. */
  readonly tokens: number;
}

export interface ModelBenchOptions {
  readonly dtype: WeightsDtype;
  readonly effort: Effort;
  readonly batches: readonly number[];
  /** Only phases that have this in their name. */
  readonly filter: string;
  readonly onRow: (row: PhaseRow) => void;
}

export interface Phase extends Work {
  readonly phase: string;
  readonly batch?: number;
  readonly tokens?: () => number;
  /** Called after the last run. */
  readonly close?: () => void;
}

const IMAGE = packageFile("examples/scene.png");
const TASKS = ["<CAPTION>", "<OD>", "<OCR>"] as const;
const SEARCHES = { greedy: 1, "3 beams": 3 } as const;
/** Length of a timed decoding: whole submissions, no more than the first caches hold, so that none is enlarged. */
const DECODED = FIRST_STEPS + 7 * STEPS_PER_SUBMIT;
/** As many as are in memory at once while a model is loaded. */
const READ_BYTES = 32 * 2 ** 20;

export interface ModelFindings {
  /** What the weights were held in. */
  readonly dtype: Dtype;
  readonly rows: readonly PhaseRow[];
}

/** Times the phases of a model's answers one by one, and answers as a whole. */
export async function benchModel(
  subject: Subject,
  runner: Runner,
  observer: Observer,
  { dtype, effort, batches, filter, onRow }: ModelBenchOptions,
): Promise<ModelFindings> {
  const timed: PhaseRow[] = [];
  const time = async ({ phase, batch = 1, tokens, close, ...work }: Phase) => {
    if (!phase.includes(filter)) return;
    const measured = await measure(observer, work, effort);
    const row = { phase, batch, tokens: tokens?.() ?? 0, ...measured };
    close?.();
    timed.push(row);
    onRow(row);
  };
  if (subject.folder !== undefined) {
    const weights = join(subject.folder, "model.safetensors");
    if (existsSync(weights)) await time(reading(weights, runner));
    await time(loading(subject.folder, dtype, runner));
  }
  const model = await openPhases(subject, runner, dtype, batches);
  for await (const phase of model.phases) await time(phase);
  return { dtype: model.dtype, rows: timed };
}

/** Loads a model: the phases of its answers, and what its weights are held in. */
export async function openPhases(
  subject: Subject,
  runner: Runner,
  dtype: WeightsDtype,
  batches: readonly number[],
): Promise<{ readonly dtype: Dtype; readonly phases: AsyncIterable<Phase> }> {
  const { config, imageConfig, tokenizer, checkpoint } = await subject.open();
  const weights = await loadWeights(checkpoint, config, runner, { dtype });
  await checkpoint.close();
  const model = new Florence2(config, imageConfig, tokenizer, runner, weights);
  return {
    dtype: weights.text.encoder.layers[0]!.fc1.weight.dtype,
    phases: phasesOf(model, weights, runner, subject.limits, batches),
  };
}

async function* phasesOf(
  model: Florence2,
  weights: Weights,
  runner: Runner,
  limits: GenerationOptions,
  batches: readonly number[],
): AsyncGenerator<Phase> {
  const { config, imageConfig, tokenizer } = model;
  const file = new Uint8Array(await readFile(IMAGE));
  const load = async () => pixelsOf(await loadImage(file), imageConfig);
  const { pixels: content, ...size } = await load();
  yield { phase: "picture", run: load };
  const pixels = runner.zeros("pixels", [content.length]);
  yield {
    phase: "upload",
    run: async () => {
      runner.write(pixels, content);
      await runner.settle();
    },
  };
  const vision = await VisionSession.open(runner, weights, config, imageConfig);
  yield seeing(vision, content, runner);

  const image = await vision.encode(content);
  const promptIds = tokenizer.encode(resolveTask("<CAPTION>", undefined, size).prompt);
  for (const batch of batches) {
    const questions = new Array<Question>(batch).fill({ image, promptIds });
    const open = (numBeams: number) =>
      DecodingSession.open(runner, weights.text, config.text, questions, endless(config, numBeams));
    yield encoding(open, runner, batch);
    for (const [search, numBeams] of Object.entries(SEARCHES)) {
      yield firstToken(() => open(numBeams), runner, search, batch);
      yield furtherToken(() => open(numBeams), `each further token, ${search}`, batch);
    }
    yield furtherToken(
      () => DecodingSession.open(runner, weights.text, config.text, questions, ended(config)),
      "each step after the end",
      batch,
    );
    for (const task of TASKS) {
      const items = new Array(batch).fill({ image: file, task });
      let tokens = 0;
      yield {
        phase: `${task} from picture to answer`,
        batch,
        run: async () => {
          const [answer] = await model.runBatch(items, limits);
          tokens = answer!.tokens.length - 1;
        },
        tokens: () => tokens,
      };
    }
  }
}

/** The least that loading can be: the bytes of the weights, once from the file and once to the device, where they stay. */
function reading(weights: string, runner: Runner): Phase {
  const pieces: Tensor[] = [];
  return {
    phase: "reading weights and writing them",
    run: async () => {
      const file = await openFile(weights);
      for (let at = 0; at < file.size; at += READ_BYTES) {
        const bytes = await file.read(at, Math.min(at + READ_BYTES, file.size));
        const words = Math.floor(bytes.length / BYTES_PER_ELEMENT);
        pieces.push(runner.upload("piece", [words], new Uint32Array(bytes.buffer, 0, words)));
        await runner.settle();
      }
      await file.close();
    },
    after: () => {
      for (const piece of pieces.splice(0)) runner.free(piece);
    },
  };
}

/** From the files, which the system has cached by then. */
function loading(folder: string, dtype: WeightsDtype, runner: Runner): Phase {
  let model: Florence2 | undefined;
  return {
    phase: "loading",
    run: async () => {
      model = await Florence2.fromPretrained(folder, {
        dtype,
        device: runner instanceof GpuRunner ? runner.device : "cpu",
      });
      await runner.settle();
    },
    after: () => model?.dispose(),
  };
}

function seeing(vision: VisionSession, pixels: Float32Array, runner: Runner): Phase {
  let features: Tensor | undefined;
  return {
    phase: "vision",
    run: async () => {
      features = await vision.encode(pixels);
      await runner.settle();
    },
    after: () => runner.free(features!),
  };
}

/** Encoders, and the keys and values that decoders read of them. */
function encoding(
  open: (numBeams: number) => Promise<DecodingSession>,
  runner: Runner,
  batch: number,
): Phase {
  let session: DecodingSession | undefined;
  return {
    phase: "encoder",
    batch,
    run: async () => {
      session = await open(1);
      await runner.settle();
    },
    after: () => session?.dispose(),
  };
}

/** With those tokens that are submitted and read back together with the first. */
function firstToken(
  open: () => Promise<DecodingSession>,
  runner: Runner,
  search: string,
  batch: number,
): Phase {
  let session: DecodingSession | undefined;
  let tokens = 0;
  return {
    phase: `first token, ${search}`,
    batch,
    before: async () => {
      session = await open();
      await runner.settle();
    },
    run: async () => {
      tokens = (await session!.advance()).length;
    },
    after: () => session?.dispose(),
    tokens: () => tokens,
  };
}

function furtherToken(open: () => Promise<DecodingSession>, phase: string, batch: number): Phase {
  let session: DecodingSession | undefined;
  let left = 0;
  let tokens = 0;
  return {
    phase,
    batch,
    before: async () => {
      if (left > 0) return;
      session?.dispose();
      session = await open();
      left = DECODED - (await session.advance()).length;
    },
    run: async () => {
      tokens = (await session!.advance()).length;
      left -= tokens;
    },
    pieces: () => tokens,
    tokens: () => 1,
    close: () => session?.dispose(),
  };
}

/** A decoding that ends no sooner than its length. */
function endless(config: Florence2Config, numBeams: number): GenerationSettings {
  return generationSettings({ numBeams, minNewTokens: DECODED, maxNewTokens: DECODED }, rulesOf(config));
}

/** A greedy decoding that ends with its first token: what is submitted after it finds nothing to do. */
function ended(config: Florence2Config): GenerationSettings {
  const forcedBosTokenId = config.tokens.eos[0]!;
  return generationSettings({ numBeams: 1, maxNewTokens: DECODED, forcedBosTokenId }, rulesOf(config));
}

export function rulesOf({ text, tokens }: Florence2Config): GenerationSettings["model"] {
  return {
    vocabSize: text.vocabSize,
    maxPositions: text.maxPositionEmbeddings,
    decoderStartTokenId: tokens.decoderStart,
    eosTokenId: tokens.eos,
  };
}
