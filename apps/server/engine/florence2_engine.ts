import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  decodeGenerated,
  type EncodedImage as Features,
  Florence2,
  type Sequence as Generated,
  type LoadOptions,
  parseAnswer,
  type Result,
  resolveTask,
} from "florence2-webgpu";
import type { Answered, EncodedImage, Engine, Part, Question, Sequence } from "./engine.ts";

export interface ImageLimits {
  readonly maxPixels: number;
  readonly maxBytes: number;
}

/** Size of an image that is not known yet, for checking regions: no region lies beyond it. */
const ANY_SIZE = { width: 2 ** 31, height: 2 ** 31 };
/** f32. */
const BYTES_PER_ELEMENT = 4;

/** A Florence-2 checkpoint as the server's engine. */
export class Florence2Engine implements Engine {
  readonly #model: Florence2;
  readonly #limits: ImageLimits;
  readonly #features = new WeakMap<EncodedImage, Features>();

  static async load(source: string, options: LoadOptions, limits: ImageLimits): Promise<Florence2Engine> {
    return new Florence2Engine(
      await Florence2.fromPretrained(source || bundledCheckpoint(), options),
      limits,
    );
  }

  constructor(model: Florence2, limits: ImageLimits) {
    this.#model = model;
    this.#limits = limits;
  }

  get device() {
    return this.#model.device;
  }

  get memoryBytes(): number {
    return this.#model.memory.bytes;
  }

  async encode(file: Uint8Array, signal: AbortSignal): Promise<EncodedImage> {
    const features = await this.#model.encodeImage(file, { ...this.#limits, signal });
    const [tokens, channels] = features.features.shape as [number, number];
    const image: EncodedImage = {
      width: features.width,
      height: features.height,
      tokens,
      bytes: tokens * channels * BYTES_PER_ELEMENT,
      dispose: () => features.dispose(),
    };
    this.#features.set(image, features);
    return image;
  }

  check({ task, text, region }: Question): void {
    resolveTask(task, region ?? text, region && ANY_SIZE);
  }

  async run(image: EncodedImage, question: Question, signal: AbortSignal): Promise<Answered> {
    const result = await this.#model.run(this.#features.get(image)!, question.task, {
      ...optionsOf(question),
      signal,
    });
    return this.#answered(image, question, result);
  }

  async *stream(image: EncodedImage, question: Question, signal: AbortSignal): AsyncIterable<Part> {
    const options = { ...optionsOf(question), signal };
    for await (const { text, result } of this.#model.stream(
      this.#features.get(image)!,
      question.task,
      options,
    ))
      yield { text, answered: result && this.#answered(image, question, result) };
  }

  dispose(): void {
    this.#model.dispose();
  }

  #answered(image: EncodedImage, question: Question, result: Result<unknown>): Answered {
    const { task, text, region } = question;
    const { prompt } = resolveTask(task, region ?? text, image);
    const sequences = result.sequences.map((generated) => this.#sequence(image, question, generated));
    return {
      promptTokens: image.tokens + this.#model.tokenizer.encode(prompt).length,
      imageTokens: image.tokens,
      sequences: sequences as [Sequence, ...Sequence[]],
    };
  }

  #sequence(image: EncodedImage, { task, coordinates }: Question, generated: Generated): Sequence {
    const { tokenizer } = this.#model;
    const { tokens, logProbs, score, finishReason } = generated;
    const scored = decodeGenerated(tokenizer, tokens, logProbs);
    const quiet = new Set([tokenizer.bosId, tokenizer.eosId, tokenizer.padId]);
    // The decoder's start token is given, not generated, and has no probability.
    const offset = tokens.length - logProbs.length;
    const seen = logProbs.flatMap((logProb, i) => {
      const id = tokens[i + offset]!;
      return quiet.has(id) ? [] : [{ text: tokenizer.decode([id]), logProb }];
    });
    const answer = parseAnswer(task, scored, image, { coordinates });
    return { answer, tokens: seen, tokenCount: logProbs.length, score, finishReason };
  }
}

function optionsOf({ text, region, coordinates, generation }: Question) {
  return { ...generation, text, region, coordinates };
}

/** The small checkpoint that comes with the library. */
export function bundledCheckpoint(): string {
  const inside = join("node_modules", "florence2-webgpu", "checkpoints", "nano");
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, inside))) return join(folder, inside);
    if (folder === dirname(folder)) throw new Error("the package florence2-webgpu is not installed");
  }
}
