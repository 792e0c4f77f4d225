import { Florence2Error } from "../core/errors.ts";
import type { Runner } from "../core/runner.ts";
import type { Source } from "../files/files.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import type { Florence2Config, ImageConfig } from "./config/config.ts";
import { DecodingSession } from "./decoding_session.ts";
import { EncodedImage } from "./encoded_image.ts";
import { type ForwardInput, type ForwardOutput, forwardRow, rowsOfInput } from "./forward.ts";
import { generate, stream } from "./generation/generate.ts";
import { type GenerationOptions, type GenerationSettings, settingsFor } from "./generation/options.ts";
import { type ImageInput, type LoadImageOptions, loadImage } from "./image/load.ts";
import { type ImagePixels, pixelsOf } from "./image/preprocess.ts";
import { type LoadOptions, loadModel } from "./loading/load.ts";
import { type BatchItem, type PreparedQuestion, preparePrompt, type RunOptions } from "./questions.ts";
import { type Result, resultOf, type StreamPart } from "./results.ts";
import type { AnswerOf } from "./tasks/index.ts";
import { VisionSession } from "./vision_session.ts";
import type { Weights } from "./weights/load_weights.ts";

/** How many questions `runBatch` decodes at a time. */
const BATCH_SIZE = 8;

/**
 * Florence-2 (Xiao et al., 2023): one model that captions pictures, finds and names objects, reads text,
 * grounds phrases, outlines things and describes regions, by prompt. Calls on one model wait for each other.
 */
export class Florence2 {
  readonly config: Florence2Config;
  readonly imageConfig: ImageConfig;
  readonly tokenizer: Tokenizer;
  /** What computes, for people. */
  readonly device: { readonly kind: "gpu" | "cpu"; readonly name: string };
  readonly #runner: Runner;
  readonly #weights: Weights;
  #vision: VisionSession | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #disposed = false;

  /**
   * Loads a model: a folder, the URL of one, files by name, or a repository on a Hugging Face hub such as
   * `microsoft/Florence-2-base` (a folder of that name goes first), in the formats of the released checkpoints.
   *
   * @throws {Florence2Error} for missing or malformed files, failed downloads, weights that do not fit the configuration, and
   *   a device that can't be had; nothing is left allocated then
   */
  static async fromPretrained(source: Source, options: LoadOptions = {}): Promise<Florence2> {
    const { config, imageConfig, tokenizer, runner, weights } = await loadModel(source, options);
    return new Florence2(config, imageConfig, tokenizer, runner, weights);
  }

  /** For weights that come from elsewhere than files; users call `fromPretrained`. */
  constructor(
    config: Florence2Config,
    imageConfig: ImageConfig,
    tokenizer: Tokenizer,
    runner: Runner,
    weights: Weights,
  ) {
    this.config = config;
    this.imageConfig = imageConfig;
    this.tokenizer = tokenizer;
    this.device = { kind: runner.kind, name: runner.name };
    this.#runner = runner;
    this.#weights = weights;
  }

  /** Device memory now in use, and the most there ever was, in bytes. */
  get memory(): { readonly bytes: number; readonly peakBytes: number } {
    return this.#runner.memory;
  }

  /**
   * Answers one task about one picture.
   *
   * @param task one of the fifteen, such as `<OD>`, or a free prompt for fine-tuned models
   * @throws {Florence2Error} for bad options, texts or pictures, before anything is computed; the signal's
   *   reason when it aborts
   */
  async run<T extends string>(
    image: ImageInput | EncodedImage,
    task: T,
    options: RunOptions = {},
  ): Promise<Result<AnswerOf<T>>> {
    const [result] = await this.runBatch(
      [{ image, task, text: options.text, region: options.region }],
      options,
    );
    return result!;
  }

  /** Like `run`, part by part as the answer becomes certain. Leaving the loop ends the decoding. */
  async *stream<T extends string>(
    image: ImageInput | EncodedImage,
    task: T,
    options: RunOptions = {},
  ): AsyncGenerator<StreamPart<AnswerOf<T>>, void, undefined> {
    const settings = this.#settings(options);
    const release = await this.#acquire();
    let asked: Prepared | undefined;
    let session: DecodingSession | undefined;
    try {
      asked = await this.#prepare({ image, task, text: options.text, region: options.region }, options);
      session = await this.#open([asked], settings);
      const decoder = this.tokenizer.decodeStream();
      const quiet = new Set([this.tokenizer.bosId, this.tokenizer.eosId, this.tokenizer.padId]);
      const steps = stream(session, 1, settings);
      for (;;) {
        const { done, value } = await steps.next();
        if (done) {
          yield {
            text: decoder.end(),
            tokens: [],
            result: resultOf<T>(this.tokenizer, asked, value[0]!, options),
          };
          return;
        }
        const tokens = value.decided.filter(({ sequence }) => sequence === 0).flatMap((part) => part.tokens);
        if (tokens.length === 0) continue;
        const text = tokens.map((id) => (quiet.has(id) ? "" : decoder.push(id))).join("");
        yield { text, tokens };
      }
    } finally {
      session?.dispose();
      asked?.free();
      release();
    }
  }

  /** Sees a picture once, for any number of tasks. The result is to be disposed by its owner. */
  async encodeImage(image: ImageInput, options: LoadImageOptions = {}): Promise<EncodedImage> {
    const pixels = pixelsOf(await loadImage(image, options), this.imageConfig);
    const release = await this.#acquire();
    try {
      return await this.#see(pixels, options.signal);
    } finally {
      release();
    }
  }

  /** Answers several questions, several at a time; each answer is what `run` alone would give. */
  async runBatch<T extends string>(
    items: readonly BatchItem<T>[],
    options: Omit<RunOptions, "text" | "region"> = {},
  ): Promise<Result<AnswerOf<T>>[]> {
    const settings = this.#settings(options);
    const release = await this.#acquire();
    try {
      const results: Result<AnswerOf<T>>[] = [];
      for (let from = 0; from < items.length; from += BATCH_SIZE) {
        results.push(...(await this.#answer(items.slice(from, from + BATCH_SIZE), settings, options)));
      }
      return results;
    } finally {
      release();
    }
  }

  /**
   * The bare model, for research and parity: logits for given decoder inputs.
   *
   * @throws {Florence2Error} `shape_mismatch` if the inputs do not fit together
   */
  async forward(input: ForwardInput): Promise<ForwardOutput> {
    const rows = rowsOfInput(input, this.imageConfig);
    const [T, V] = [rows[0]!.decoderInputIds.length, this.config.text.vocabSize];
    const logits = new Float32Array(rows.length * T * V);
    const taps: ReadonlyMap<string, Float32Array>[] = [];
    const release = await this.#acquire();
    try {
      const { config, imageConfig } = this;
      const model = { config, imageConfig, runner: this.#runner, weights: this.#weights };
      for (const [b, row] of rows.entries()) {
        const found = await forwardRow(model, row, { taps: input.taps });
        logits.set(found.logits, b * T * V);
        taps.push(found.stages);
      }
    } finally {
      release();
    }
    return { logits, shape: [rows.length, T, V], taps };
  }

  /** Gives all device memory back. Calls in flight fail; a second call does nothing. */
  dispose(): void {
    this.#disposed = true;
    this.#runner.dispose();
  }

  /** Waits for the calls before this one; the caller must call what it gets. */
  async #acquire(): Promise<() => void> {
    let release = () => {};
    const before = this.#queue;
    this.#queue = new Promise<void>((resolve) => {
      release = resolve;
    });
    await before;
    if (this.#disposed) {
      release();
      throw new Florence2Error("disposed", "this model was disposed");
    }
    return release;
  }

  #settings(options: GenerationOptions): GenerationSettings {
    return settingsFor(this.config, options);
  }

  async #answer<T extends string>(
    items: readonly BatchItem<T>[],
    settings: GenerationSettings,
    options: RunOptions,
  ): Promise<Result<AnswerOf<T>>[]> {
    const asked: Prepared[] = [];
    let session: DecodingSession | undefined;
    try {
      for (const item of items) asked.push(await this.#prepare(item, options));
      session = await this.#open(asked, settings);
      const answers = await generate(session, items.length, settings);
      return answers.map((sequences, i) => resultOf<T>(this.tokenizer, asked[i]!, sequences, options));
    } finally {
      session?.dispose();
      for (const { free } of asked) free();
    }
  }

  /** Checks a question and encodes its image, in this order. */
  async #prepare({ image, ...asked }: BatchItem, options: RunOptions): Promise<Prepared> {
    const loaded =
      image instanceof EncodedImage ? image : pixelsOf(await loadImage(image, options), this.imageConfig);
    const prompt = preparePrompt(asked, loaded, this);
    if (loaded instanceof EncodedImage) return { ...prompt, image: loaded.features, free: () => {} };
    const encoded = await this.#see(loaded, options.signal);
    return { ...prompt, image: encoded.features, free: () => encoded.dispose() };
  }

  #open(questions: readonly PreparedQuestion[], settings: GenerationSettings): Promise<DecodingSession> {
    return DecodingSession.open(this.#runner, this.#weights.text, this.config.text, questions, settings);
  }

  /** Runs the vision tower and the projector; the features are the caller's. */
  async #see({ pixels, ...size }: ImagePixels, signal?: AbortSignal): Promise<EncodedImage> {
    this.#vision ??= await VisionSession.open(this.#runner, this.#weights, this.config, this.imageConfig);
    const features = await this.#vision.encode(pixels, signal);
    return new EncodedImage(features, size, () => this.#runner.free(features));
  }
}

/** A prepared question, and how the memory of its image is given back if it is not the caller's. */
interface Prepared extends PreparedQuestion {
  readonly free: () => void;
}
