import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type EncodedImage as Features,
  Florence2,
  type Sequence as Generated,
  type LoadOptions,
  type Result,
  resolveTask,
} from "florence2-webgpu";
import type { Answered, EncodedImage, Engine, Part, Question, Sequence } from "./engine.ts";

export interface ImageLimits {
  readonly maxPixels: number;
  readonly maxBytes: number;
}

export const BUNDLED_MODEL_WARNING =
  "The bundled model knows only drawn scenes: about photographs its answers are wrong. For real answers: --model microsoft/Florence-2-base (downloads 0.5 GB, once).";

/** Size of an image that is not known yet, for checking regions: no region lies beyond it. */
const ANY_SIZE = { width: 2 ** 31, height: 2 ** 31 };
const WARM_UP_IMAGE = { data: new Uint8Array(3), width: 1, height: 1, channels: 3 } as const;
/** f32. */
const BYTES_PER_ELEMENT = 4;

/** A Florence-2 checkpoint as the server's engine. */
export class Florence2Engine implements Engine {
  readonly #model: Florence2;
  readonly #limits: ImageLimits;
  readonly #features = new WeakMap<EncodedImage, Features>();

  /** Loads a model, and answers once, so that the first request finds all compiled. */
  static async load(source: string, options: LoadOptions, limits: ImageLimits): Promise<Florence2Engine> {
    const model = await Florence2.fromPretrained(source || bundledCheckpoint(), options);
    try {
      // Devices compile kernels at their first use, which may take longer than a request may.
      await model.run(WARM_UP_IMAGE, "<CAPTION>", { maxNewTokens: 4, signal: options.signal });
    } catch (error) {
      model.dispose();
      throw error;
    }
    return new Florence2Engine(model, limits);
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
    for (const one of textsOf(text)) resolveTask(task, region ?? one, region && ANY_SIZE);
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

  #answered(image: EncodedImage, { task, text, region }: Question, result: Result): Answered {
    const { tokenizer } = this.#model;
    const warnings = new Set<string>();
    const prompts = textsOf(text).map(
      (one) => resolveTask(task, region ?? one, image, (message) => warnings.add(message)).prompt,
    );
    const imageTokens = prompts.length * image.tokens;
    // A list of texts has one answer, which joins theirs.
    const sequences = Array.isArray(text) ? [result] : result.sequences;
    return {
      promptTokens: prompts.reduce((sum, prompt) => sum + tokenizer.encode(prompt).length, imageTokens),
      imageTokens,
      warnings: [...warnings],
      sequences: sequences.map((sequence) => this.#sequence(sequence)) as [Sequence, ...Sequence[]],
    };
  }

  #sequence({ tokens, logProbs, ...told }: Generated): Sequence {
    const { tokenizer } = this.#model;
    const quiet = new Set([tokenizer.bosId, tokenizer.eosId, tokenizer.padId]);
    // The decoder's start token is given, not generated, and has no probability.
    const offset = tokens.length - logProbs.length;
    const seen = logProbs.flatMap((logProb, i) => {
      const id = tokens[i + offset]!;
      return quiet.has(id) ? [] : [{ text: tokenizer.decode([id]), logProb }];
    });
    return { ...told, tokens: seen, tokenCount: logProbs.length };
  }
}

const textsOf = (text: Question["text"]): readonly (string | undefined)[] =>
  Array.isArray(text) ? text : [text as string | undefined];

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
