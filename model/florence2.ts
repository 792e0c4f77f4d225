/// <reference lib="esnext.disposable" preserve="true" />

import { Florence2Error } from "../core/errors.ts";
import type { Runner } from "../core/runner.ts";
import type { Source } from "../files/files.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { AnswerStream } from "./answer_stream.ts";
import { Batch } from "./batch.ts";
import type { Florence2Config } from "./config/config.ts";
import type { ImageConfig } from "./config/image.ts";
import { makeDisposable } from "./disposable.ts";
import type { EncodedImage } from "./encoded_image.ts";
import { type ForwardInput, type ForwardOutput, forwardRow, rowsOfInput } from "./forward.ts";
import { type GenerationOptions, type GenerationSettings, settingsFor } from "./generation/options.ts";
import type { ImageInput } from "./image/load.ts";
import type { EncodeOptions } from "./image/preprocess.ts";
import { type LoadOptions, loadModel } from "./loading/load.ts";
import { expectOptions, imageOptions } from "./option_names.ts";
import type { AskedTask, BatchItem, BatchOptions, RunArguments } from "./questions.ts";
import { type Result, resultOf, type StreamPart } from "./results.ts";
import { Scheduler } from "./scheduling/scheduler.ts";
import { StoppableCall, TokenBuffer } from "./scheduling/streams.ts";
import type { AnswerOf } from "./tasks/index.ts";
import type { Weights } from "./weights/load_weights.ts";

/**
 * Florence-2 (Xiao et al., 2023): one model that captions images, finds and names objects, reads text,
 * grounds phrases, outlines things and describes regions, by prompt.
 *
 * Calls need not wait for each other: questions that are asked while others are answered join them in batches, or
 * take turns with them on the device. An abort, and `dispose`, end a call at once, whatever it waits for.
 */
export class Florence2 {
  declare readonly [Symbol.dispose]: () => void;
  readonly config: Florence2Config;
  readonly imageConfig: ImageConfig;
  readonly tokenizer: Tokenizer;
  /** The device that computes, as a name for people. */
  readonly device: { readonly kind: "gpu" | "cpu"; readonly name: string };
  readonly #runner: Runner;
  readonly #weights: Weights;
  readonly #scheduler: Scheduler;

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
    this.config = config;
    this.imageConfig = imageConfig;
    this.tokenizer = tokenizer;
    this.device = { kind: runner.kind, name: runner.name };
    this.#runner = runner;
    this.#weights = weights;
    const model = { config, imageConfig, tokenizer, runner, weights };
    this.#scheduler = new Scheduler(model, warnOnce(onWarning));
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
    const settings = this.#settings(options);
    const { text, region } = options;
    const item = { image, task, text, region } as BatchItem;
    return this.#scheduler.calls.make(options.signal, async (signal) => {
      const prepared = await this.#scheduler.prepare(item, imageOptions(options), signal);
      const [answers] = this.#scheduler.answer([{ ...prepared, index: 0 }], settings, signal);
      return resultOf<T>(this.tokenizer, prepared.questions, await answers!, options);
    });
  }

  /**
   * Like `run`, part by part. With `numBeams: 1` each token comes as soon as it is decoded; with several beams,
   * tokens come once all beams agree on them. The device decodes ahead of the reader, who may be slow, ask other
   * questions meanwhile, or go away. Leaving the loop ends the decoding.
   */
  async *stream<const T extends AskedTask>(
    image: ImageInput | EncodedImage,
    task: T,
    ...[options = {}]: RunArguments<T>
  ): AsyncGenerator<StreamPart<AnswerOf<T>>, void, undefined> {
    expectOptions("stream", options);
    const settings = this.#settings(options);
    const { text, region } = options;
    if (Array.isArray(text) && text.length !== 1)
      throw new Florence2Error("task_invalid", "stream takes one text; run answers a list", { text });
    const item = { image, task, text, region } as BatchItem;
    const buffer = new TokenBuffer();
    const call = new StoppableCall(this.#scheduler.calls, options.signal, async (signal) => {
      const prepared = await this.#scheduler.prepare(item, imageOptions(options), signal);
      const add = (tokens: readonly number[]) => buffer.add(tokens);
      const [answers] = this.#scheduler.answer([{ ...prepared, index: 0 }], settings, signal, add);
      return resultOf<T>(this.tokenizer, prepared.questions, await answers!, options);
    });
    try {
      const decoder = new AnswerStream(this.tokenizer);
      for await (const tokens of buffer.until(call.result)) yield { ...decoder.push(tokens), tokens };
      yield { ...decoder.end(), tokens: [], result: await call.result };
    } finally {
      await call.stop();
    }
  }

  /** Encodes an image once, for any number of tasks. The caller disposes it. */
  async encodeImage(image: ImageInput, options: EncodeOptions = {}): Promise<EncodedImage> {
    expectOptions("encodeImage", options);
    return this.#scheduler.calls.make(options.signal, (signal) =>
      this.#scheduler.encodeImage(image, options, signal),
    );
  }

  /**
   * Answers several questions, several at a time; each answer is what `run` alone would give. Images are loaded
   * and encoded while others are answered.
   *
   * @throws {Florence2Error} for the first item that fails, unless `onError` is `return`; `details.index` and
   *   `details.file` name the item, `details.results` are the results until then, by index
   */
  async runBatch<const T extends AskedTask>(
    items: readonly BatchItem<T>[],
    options?: BatchOptions & { readonly onError?: "throw" },
  ): Promise<Result<AnswerOf<T>>[]>;
  async runBatch<const T extends AskedTask>(
    items: readonly BatchItem<T>[],
    options: BatchOptions,
  ): Promise<(Result<AnswerOf<T>> | Florence2Error)[]>;
  async runBatch<const T extends AskedTask>(
    items: readonly BatchItem<T>[],
    options: BatchOptions = {},
  ): Promise<(Result<AnswerOf<T>> | Florence2Error)[]> {
    expectOptions("runBatch", options);
    const settings = this.#settings(options);
    const batch = new Batch<T>(this.#scheduler, this.tokenizer, items, settings, options);
    return this.#scheduler.calls.make(options.signal, (signal) => batch.run(signal));
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
    const { config, imageConfig } = this;
    const model = { config, imageConfig, runner: this.#runner, weights: this.#weights };
    await this.#scheduler.calls.make(undefined, async (signal) => {
      for (const [b, row] of rows.entries()) {
        const work = () => forwardRow(model, row, { taps: input.taps });
        const found = await this.#scheduler.device.turn(work, signal);
        logits.set(found.logits, b * T * V);
        taps.push(found.stages);
      }
    });
    return { logits, shape: [rows.length, T, V], taps };
  }

  /**
   * Gives all device memory back. Calls in flight end at once, with `disposed`; a second call does nothing.
   *
   * @returns resolves when the device has answered all that was asked of it. Wait for it before you terminate a
   *   worker: Dawn, the WebGPU of Node, ends the process otherwise.
   */
  async dispose(): Promise<void> {
    this.#scheduler.close();
    const disposed = this.#runner.dispose();
    await Promise.all([disposed, this.#scheduler.device.idle()]);
  }

  #settings(options: GenerationOptions): GenerationSettings {
    return settingsFor(this.config, options, this.tokenizer.locationToken(0));
  }
}

makeDisposable(Florence2);

/** Takes warnings, each text once, as far as a thousand texts: a data set repeats its slips. */
function warnOnce(onWarning: (message: string) => void): (message: string) => void {
  const said = new Set<string>();
  return (message) => {
    if (said.has(message)) return;
    if (said.size < 1000) said.add(message);
    onWarning(message);
  };
}
