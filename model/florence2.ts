import { type DeviceOption, type DeviceOptions, openRunner } from "../core/device.ts";
import { Florence2Error } from "../core/errors.ts";
import type { RecordingOptions } from "../core/recording.ts";
import type { Runner } from "../core/runner.ts";
import type { Tensor, TensorData } from "../core/tensor.ts";
import type { Source } from "../files/files.ts";
import type { DownloadEvent, HubOptions } from "../files/open_model_files.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { countImageTokens, type Florence2Config, type ImageConfig } from "./config/config.ts";
import { DecodingSession, type Question } from "./decoding_session.ts";
import { generate, stream } from "./generation/generate.ts";
import { type GenerationOptions, type GenerationSettings, settingsFor } from "./generation/options.ts";
import type { GeneratedSequence } from "./generation/report.ts";
import type { ImageInput, LoadImageOptions } from "./image/load.ts";
import { preprocessImage } from "./image/preprocess.ts";
import { compileAhead } from "./loading/compile_ahead.ts";
import { openModel } from "./loading/open_model.ts";
import {
  type AnswerOf,
  decodeGenerated,
  type ParseOptions,
  type PixelBox,
  parseAnswer,
  resolveTask,
  type Task,
} from "./tasks/index.ts";
import { VisionSession } from "./vision_session.ts";
import { checkDtype, loadWeights, type Weights, type WeightsDtype } from "./weights/load_weights.ts";

/** A stage of loading: the files of a hub's repository arrive, weights go to the device, all is ready. */
export type ProgressEvent =
  | DownloadEvent
  | {
      readonly status: "load";
      /** Bytes. */
      readonly loaded: number;
      readonly total: number;
      /** Percent. */
      readonly progress: number;
    }
  | { readonly status: "ready"; readonly device: string };

export interface LoadOptions extends Omit<DeviceOptions, "debug">, HubOptions {
  /** Where to compute. Default `auto`: a GPU if there is one, else the CPU. */
  readonly device?: DeviceOption;
  /**
   * How matrices are held on the device; all arithmetic is f32. `auto` (default): f16 as the files store it, anything
   * else as f32, so that nothing is lost. `f16`: half the memory, whatever the files store.
   */
  readonly dtype?: WeightsDtype;
  readonly onProgress?: (event: ProgressEvent) => void;
  /** Ends downloading, and loading at the next tensor, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What `run` takes besides a picture and a task: how to decode, and what the task asks about. */
export interface RunOptions
  extends GenerationOptions,
    ParseOptions,
    Pick<LoadImageOptions, "maxPixels" | "maxBytes"> {
  /** For tasks that take a text: the phrase, the caption. */
  readonly text?: string;
  /** For tasks that take a region: a box in pixels of the picture as seen. (Location tokens go into `text`.) */
  readonly region?: PixelBox;
}

export interface Sequence {
  /** As generated, special tokens kept. */
  readonly text: string;
  /** With the start token and the end token. */
  readonly tokens: readonly number[];
  /** Sum of the log-probabilities over (new tokens)^lengthPenalty. */
  readonly score: number;
  /** One for each new token; 0 for forced ones. */
  readonly logProbs: readonly number[];
  /** `length` if `maxNewTokens` ended the answer. */
  readonly finishReason: "stop" | "length";
}

export interface Result<A> extends Sequence {
  /** The parsed answer, in the shape that the task's name stands for. */
  readonly answer: A;
  /** The picture as seen, in pixels: what coordinates refer to. */
  readonly width: number;
  readonly height: number;
  /** All `numReturnSequences` sequences, best first; the first is this result's own. */
  readonly sequences: readonly Sequence[];
}

/** A piece of an answer that later steps do not change. */
export interface StreamPart<A> {
  /** Without start, end and padding tokens; location tokens are kept. */
  readonly text: string;
  readonly tokens: readonly number[];
  /** The whole, with the last part. */
  readonly result?: Result<A>;
}

export interface BatchItem<T extends string = string> {
  readonly image: ImageInput | EncodedImage;
  readonly task: T;
  readonly text?: string;
  readonly region?: PixelBox;
}

export type IdLists = readonly number[] | readonly (readonly number[])[];

export interface ForwardInput {
  /** One picture (3, H, W) or several (B, 3, H, W), as the preprocessor makes them. */
  readonly pixelValues: Float32Array;
  /** Prompts with their first and last tokens: a list for each picture, or the only one. */
  readonly inputIds: IdLists;
  /** Decoder inputs, all of the same length: a list for each picture, or the only one. */
  readonly decoderInputIds: IdLists;
  /** Names of stages to be returned; see the README for their list. */
  readonly taps?: (name: string) => boolean;
}

export interface ForwardOutput {
  readonly logits: Float32Array;
  /** (B, T, V). */
  readonly shape: readonly [number, number, number];
  /** For each picture, what was asked for: encoder stages (N, C), decoder stages (T, C). */
  readonly taps: readonly ReadonlyMap<string, Float32Array>[];
}

/** A picture seen once, to be asked about many times. Holds device memory until it is disposed. */
export class EncodedImage {
  readonly width: number;
  readonly height: number;
  /** (I, d). */
  readonly features: Tensor;
  readonly #free: () => void;

  constructor(features: Tensor, size: { width: number; height: number }, free: () => void) {
    this.features = features;
    this.width = size.width;
    this.height = size.height;
    this.#free = free;
  }

  dispose(): void {
    this.#free();
  }
}

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
    const { dtype = "auto", device, onProgress, onWarning, signal } = options;
    checkDtype(dtype);
    const { config, imageConfig, tokenizer, checkpoint } = await openModel(source, options);
    try {
      const runner = await openRunner(device, { onWarning });
      try {
        const model = { checkpoint, config, imageConfig, dtype };
        // A software device would compile with the processor that reads. What does not compile is told when it is called.
        if (!runner.profile.features.has("software"))
          compileAhead(runner, model, (recording) => runner.compile(recording)).catch(() => {});
        const weights = await loadWeights(checkpoint, config, runner, {
          dtype,
          signal,
          onProgress: (loaded, total) =>
            onProgress?.({ status: "load", loaded, total, progress: (100 * loaded) / total }),
        });
        onProgress?.({ status: "ready", device: runner.name });
        return new Florence2(config, imageConfig, tokenizer, runner, weights);
      } catch (error) {
        runner.dispose();
        throw error;
      }
    } finally {
      await checkpoint.close();
    }
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
    let asked: Asked | undefined;
    let session: DecodingSession | undefined;
    try {
      asked = await this.#ask({ image, task, text: options.text, region: options.region }, options);
      session = await this.#open([asked], settings);
      const decoder = this.tokenizer.decodeStream();
      const quiet = new Set([this.tokenizer.bosId, this.tokenizer.eosId, this.tokenizer.padId]);
      const steps = stream(session, 1, settings);
      for (;;) {
        const { done, value } = await steps.next();
        if (done) {
          yield { text: decoder.end(), tokens: [], result: this.#result<T>(asked, value[0]!, options) };
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
    const { pixelValues, width, height } = await preprocessImage(image, this.imageConfig, options);
    const release = await this.#acquire();
    try {
      return await this.#see(pixelValues, { width, height }, options.signal);
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
  async forward({ pixelValues, taps, ...ids }: ForwardInput): Promise<ForwardOutput> {
    const { width, height } = this.imageConfig;
    const [inputIds, decoderInputIds] = [listsOf(ids.inputIds), listsOf(ids.decoderInputIds)];
    const [B, pixels, T] = [inputIds.length, 3 * width * height, decoderInputIds[0]?.length ?? 0];
    const fits = B > 0 && T > 0 && pixelValues.length === B * pixels && decoderInputIds.length === B;
    if (!fits || decoderInputIds.some((list) => list.length !== T)) {
      throw new Florence2Error(
        "shape_mismatch",
        `forward takes (B, 3, ${height}, ${width}) pixel values and B lists of input and decoder ids, the latter of one length; got ${pixelValues.length} values, ${B} and ${decoderInputIds.length} lists`,
      );
    }
    const release = await this.#acquire();
    const V = this.config.text.vocabSize;
    const logits = new Float32Array(B * T * V);
    const tapped: Map<string, Float32Array>[] = [];
    try {
      for (let b = 0; b < B; b++) {
        const own = pixelValues.subarray(b * pixels, (b + 1) * pixels);
        const stages = new Map<string, Float32Array>();
        const onLogits = (t: number, row: Float32Array) => logits.set(row, (b * T + t) * V);
        await this.#forwardOne(own, inputIds[b]!, decoderInputIds[b]!, { taps }, stages, onLogits);
        tapped.push(stages);
      }
    } finally {
      release();
    }
    return { logits, shape: [B, T, V], taps: tapped };
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

  /** One picture and prompt, its decoder fed token by token. */
  async #forwardOne(
    pixelValues: Float32Array,
    promptIds: readonly number[],
    decoderIds: readonly number[],
    recording: RecordingOptions,
    stages: Map<string, Float32Array>,
    onLogits: (t: number, logits: Float32Array) => void,
  ): Promise<void> {
    const [runner, { text }] = [this.#runner, this.#weights];
    const vision = await VisionSession.open(runner, this.#weights, this.config, this.imageConfig, recording);
    let image: Tensor | undefined;
    let session: DecodingSession | undefined;
    try {
      image = await vision.see(pixelValues);
      session = await DecodingSession.open(
        runner,
        text,
        this.config.text,
        [{ image, promptIds }],
        this.#settings({ numBeams: 1, maxNewTokens: decoderIds.length }),
        recording,
      );
      for (const [t, id] of decoderIds.entries()) {
        onLogits(t, await session.feed(Uint32Array.of(id)));
        for (const [name, data] of session.tapped) collect(stages, name, data, t, decoderIds.length);
      }
      for (const [name, data] of vision.tapped) stages.set(name, data as Float32Array);
    } finally {
      session?.dispose();
      if (image) runner.free(image);
      vision.dispose();
    }
  }

  #settings(options: GenerationOptions): GenerationSettings {
    return settingsFor(this.config, options);
  }

  async #answer<T extends string>(
    items: readonly BatchItem<T>[],
    settings: GenerationSettings,
    options: RunOptions,
  ): Promise<Result<AnswerOf<T>>[]> {
    const asked: Asked[] = [];
    let session: DecodingSession | undefined;
    try {
      for (const item of items) asked.push(await this.#ask(item, options));
      session = await this.#open(asked, settings);
      const answers = await generate(session, items.length, settings);
      return answers.map((sequences, i) => this.#result<T>(asked[i]!, sequences, options));
    } finally {
      session?.dispose();
      for (const { free } of asked) free();
    }
  }

  /** Checks a question and sees its picture, in this order. */
  async #ask(item: BatchItem, options: RunOptions): Promise<Asked> {
    const { task, image, text, region } = item;
    const loaded =
      image instanceof EncodedImage ? image : await preprocessImage(image, this.imageConfig, options);
    const size = { width: loaded.width, height: loaded.height };
    const { task: kind, prompt } = resolveTask(task, region ?? text, size);
    const promptIds = this.tokenizer.encode(prompt);
    this.#checkLength(promptIds.length);
    if (loaded instanceof EncodedImage) {
      return { task: kind, size, promptIds, features: loaded.features, free: () => {} };
    }
    const encoded = await this.#see(loaded.pixelValues, size, options.signal);
    return { task: kind, size, promptIds, features: encoded.features, free: () => encoded.dispose() };
  }

  #checkLength(promptLength: number): void {
    const imageTokens = countImageTokens(this.config, this.imageConfig);
    const most = this.config.text.maxPositionEmbeddings - imageTokens;
    if (promptLength <= most) return;
    throw new Florence2Error(
      "prompt_too_long",
      `The prompt has ${promptLength} tokens; beside the picture's ${imageTokens} there is room for ${most}.`,
      { found: promptLength, allowed: most },
    );
  }

  #open(asked: readonly Asked[], settings: GenerationSettings): Promise<DecodingSession> {
    const questions: Question[] = asked.map(({ features, promptIds }) => ({ image: features, promptIds }));
    const { text } = this.#weights;
    return DecodingSession.open(this.#runner, text, this.config.text, questions, settings);
  }

  /** Runs the vision tower and the projector; the features are the caller's. */
  async #see(
    pixelValues: Float32Array,
    size: { width: number; height: number },
    signal?: AbortSignal,
  ): Promise<EncodedImage> {
    this.#vision ??= await VisionSession.open(this.#runner, this.#weights, this.config, this.imageConfig);
    const features = await this.#vision.see(pixelValues, signal);
    return new EncodedImage(features, size, () => this.#runner.free(features));
  }

  #result<T extends string>(
    asked: Asked,
    generated: readonly GeneratedSequence[],
    options: RunOptions,
  ): Result<AnswerOf<T>> {
    const sequences = generated.map((sequence) => ({
      ...sequence,
      text: this.tokenizer.decode(sequence.tokens),
    }));
    const [best] = sequences;
    const scored = decodeGenerated(this.tokenizer, best!.tokens, best!.logProbs);
    const answer = parseAnswer(asked.task as Task<string, AnswerOf<T>>, scored, asked.size, options);
    return { ...best!, answer, ...asked.size, sequences };
  }
}

/** A question that was checked, about a picture that was seen. */
interface Asked {
  readonly task: Task;
  readonly size: { readonly width: number; readonly height: number };
  readonly promptIds: readonly number[];
  readonly features: Tensor;
  readonly free: () => void;
}

function listsOf(ids: IdLists): readonly (readonly number[])[] {
  return (typeof ids[0] === "number" ? [ids] : ids) as readonly (readonly number[])[];
}

/** Appends a decoding step's row to a stage's (T, C); encoder stages, seen at step 0, are kept whole. */
function collect(
  stages: Map<string, Float32Array>,
  name: string,
  data: TensorData,
  t: number,
  steps: number,
): void {
  if (!name.startsWith("decoder.") && name !== "logits") {
    stages.set(name, data as Float32Array);
    return;
  }
  const whole = stages.get(name) ?? new Float32Array(steps * data.length);
  whole.set(data, t * data.length);
  stages.set(name, whole);
}
