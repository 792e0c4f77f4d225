import { Florence2Error } from "../core/errors.ts";
import type { Runner } from "../core/runner.ts";
import type { Tensor } from "../core/tensor.ts";
import type { Source } from "../files/files.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { AnswerStream } from "./answer_stream.ts";
import type { Florence2Config, ImageConfig } from "./config/config.ts";
import { DecodingSession } from "./decoding_session.ts";
import { EncodedImage } from "./encoded_image.ts";
import { type ForwardInput, type ForwardOutput, forwardRow, rowsOfInput } from "./forward.ts";
import { generate, stream } from "./generation/generate.ts";
import { type GenerationOptions, type GenerationSettings, settingsFor } from "./generation/options.ts";
import type { GeneratedSequence } from "./generation/report.ts";
import { type ImageInput, type LoadImageOptions, loadImage } from "./image/load.ts";
import { type ImagePixels, pixelsOf } from "./image/preprocess.ts";
import { type LoadOptions, loadModel } from "./loading/load.ts";
import { expectOptions, imageOptions } from "./option_names.ts";
import {
  type AskedTask,
  type BatchItem,
  type BatchOptions,
  type PreparedQuestion,
  preparePrompts,
  type RunArguments,
  type RunOptions,
} from "./questions.ts";
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
  readonly #warn: (message: string) => void;
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
    expectOptions("fromPretrained", options);
    const { config, imageConfig, tokenizer, runner, weights } = await loadModel(source, options);
    return new Florence2(config, imageConfig, tokenizer, runner, weights, options.onWarning);
  }

  /** For weights that come from elsewhere than files; users call `fromPretrained`. */
  constructor(
    config: Florence2Config,
    imageConfig: ImageConfig,
    tokenizer: Tokenizer,
    runner: Runner,
    weights: Weights,
    onWarning: (message: string) => void = console.warn,
  ) {
    this.#warn = warnOnce(onWarning);
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
   * Answers one task about one image.
   *
   *     const { answer, objects } = await model.run("photo.jpg", "<OD>");
   *     await model.run("photo.jpg", "<OPEN_VOCABULARY_DETECTION>", { text: ["a cup", "a spoon"] });
   *     await model.run("photo.jpg", "<REGION_TO_CATEGORY>", { region: objects[0].box });
   *
   * @param task one of the fifteen, such as `<OD>`; a task of `defineTask`; or a free prompt, for fine-tuned models
   * @throws {Florence2Error} for bad options, texts or images, before anything is computed; the signal's
   *   reason when it aborts
   */
  async run<const T extends AskedTask>(
    image: ImageInput | EncodedImage,
    task: T,
    ...[options = {}]: RunArguments<T>
  ): Promise<Result<AnswerOf<T>>> {
    expectOptions("run", options);
    const { text, region, ...shared } = options;
    const item = { image, task, text, region } as BatchItem<T>;
    const [result] = await this.#runAll([item], shared);
    return result!;
  }

  /** Like `run`, part by part as the answer becomes certain. Leaving the loop ends the decoding. */
  async *stream<const T extends AskedTask>(
    image: ImageInput | EncodedImage,
    task: T,
    ...[options = {}]: RunArguments<T>
  ): AsyncGenerator<StreamPart<AnswerOf<T>>, void, undefined> {
    expectOptions("stream", options);
    const settings = this.#settings(options);
    const release = await this.#acquire();
    let asked: Prepared | undefined;
    let session: DecodingSession | undefined;
    try {
      const { text, region } = options;
      asked = await this.#prepare({ image, task, text, region } as BatchItem, options);
      const { questions } = asked;
      if (questions.length !== 1) {
        throw new Florence2Error("task_invalid", "stream takes one text; run answers a list", { text });
      }
      session = await this.#open(questions, settings);
      const decoder = new AnswerStream(this.tokenizer);
      const steps = stream(session, 1, settings);
      for (;;) {
        const { done, value } = await steps.next();
        if (done) {
          yield {
            ...decoder.end(),
            tokens: [],
            result: resultOf<T>(this.tokenizer, questions, value, options),
          };
          return;
        }
        const tokens = value.decided.filter(({ sequence }) => sequence === 0).flatMap((part) => part.tokens);
        if (tokens.length === 0) continue;
        yield { ...decoder.push(tokens), tokens };
      }
    } finally {
      session?.dispose();
      asked?.free();
      release();
    }
  }

  /** Sees a picture once, for any number of tasks. The result is to be disposed by its owner. */
  async encodeImage(image: ImageInput, options: LoadImageOptions = {}): Promise<EncodedImage> {
    expectOptions("encodeImage", options);
    const pixels = pixelsOf(await loadImage(image, options), this.imageConfig);
    const release = await this.#acquire();
    try {
      return await this.#see(pixels, options.signal);
    } finally {
      release();
    }
  }

  /** Answers several questions, several at a time; each answer is what `run` alone would give. */
  async runBatch<const T extends AskedTask>(
    items: readonly BatchItem<T>[],
    options: BatchOptions = {},
  ): Promise<Result<AnswerOf<T>>[]> {
    expectOptions("runBatch", options);
    return this.#runAll(items, options);
  }

  async #runAll<T extends AskedTask>(
    items: readonly BatchItem<T>[],
    options: BatchOptions,
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

  async #answer<T extends AskedTask>(
    items: readonly BatchItem<T>[],
    settings: GenerationSettings,
    options: BatchOptions,
  ): Promise<Result<AnswerOf<T>>[]> {
    const asked: Prepared[] = [];
    try {
      for (const item of items) asked.push(await this.#prepare(item, options));
      const answers = await this.#decode(
        asked.flatMap(({ questions }) => questions),
        settings,
      );
      return asked.map(({ questions }) =>
        resultOf<T>(this.tokenizer, questions, answers.splice(0, questions.length), options),
      );
    } finally {
      for (const { free } of asked) free();
    }
  }

  /** Sequences of each question, several questions at a time. */
  async #decode(
    questions: readonly PreparedQuestion[],
    settings: GenerationSettings,
  ): Promise<GeneratedSequence[][]> {
    const answers: GeneratedSequence[][] = [];
    for (let from = 0; from < questions.length; from += BATCH_SIZE) {
      const some = questions.slice(from, from + BATCH_SIZE);
      const session = await this.#open(some, settings);
      try {
        answers.push(...(await generate(session, some.length, settings)));
      } finally {
        session.dispose();
      }
    }
    return answers;
  }

  /** Checks a question and encodes its image, in this order. */
  async #prepare({ image, ...asked }: BatchItem, options: RunOptions): Promise<Prepared> {
    const loaded =
      image instanceof EncodedImage
        ? image
        : pixelsOf(await loadImage(image, imageOptions(options)), this.imageConfig);
    const prompts = preparePrompts(asked, loaded, this, this.#warn);
    const about = (features: Tensor) => prompts.map((prompt) => ({ ...prompt, image: features }));
    if (loaded instanceof EncodedImage) return { questions: about(loaded.features), free: () => {} };
    const encoded = await this.#see(loaded, options.signal);
    return { questions: about(encoded.features), free: () => encoded.dispose() };
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

/** The prepared questions of an item, and how the memory of its image is given back if it is not the caller's. */
interface Prepared {
  readonly questions: readonly PreparedQuestion[];
  readonly free: () => void;
}

/** Takes warnings, each text once, as far as a thousand texts: a data set repeats its slips. */
function warnOnce(onWarning: (message: string) => void): (message: string) => void {
  const said = new Set<string>();
  return (message) => {
    if (said.has(message)) return;
    if (said.size < 1000) said.add(message);
    onWarning(message);
  };
}
