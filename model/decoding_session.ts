import { Recording, type RecordingOptions } from "../core/recording.ts";
import type { Program, Runner } from "../core/runner.ts";
import { type Allocate, BYTES_PER_ELEMENT, rows, type Tensor, type TensorData } from "../core/tensor.ts";
import type { TraceRow } from "../kernels/shared/search_trace.ts";
import type { DecoderState, TextWeights } from "./bart.ts";
import type { TextConfig } from "./config/config.ts";
import type { GenerationSettings } from "./generation/options.ts";
import { positionOf, Search } from "./generation/search.ts";
import { crossCache, layerCaches, recordEncoding, recordSearchedStep, recordStep } from "./recordings.ts";

/** Image tokens (I, d) and the prompt that asks about them. */
export interface Question {
  readonly image: Tensor;
  readonly promptIds: readonly number[];
}

/** Steps that the caches hold at first; doubled as the answer grows. */
const FIRST_CAPACITY = 64;
/** Memory of questions that are encoded side by side, at most, but for a single one. */
const TOGETHER_BYTES = 16 * 2 ** 20;
/** Steps that are submitted first: a forced beginning of the sentence and one word, so that a stream begins soon. */
export const FIRST_STEPS = 2;
/** Steps that are submitted at a time from then on, and read back together. */
export const STEPS_PER_SUBMIT = 8;

/**
 * Answers being decoded: the caches of some questions and their beams, and the step that runs once for each
 * token. Rows are images times beams, an image's beams side by side. A session either searches (`advance`)
 * or is fed tokens from outside (`feed`).
 */
export class DecodingSession {
  readonly #runner: Runner;
  readonly #weights: TextWeights;
  readonly #config: TextConfig;
  readonly #recording: RecordingOptions;
  readonly #search: Search;
  readonly #lengths: Tensor;
  /** (layers, images · S, 2d). */
  readonly #cross: Tensor;
  #layers: DecoderState["layers"];
  #capacity = 0;
  #position = 0;
  #program: Program | undefined;
  #logits: Tensor | undefined;
  #taps: Recording["taps"] = new Map();
  /** Stages of the last encoding and the last step that were asked for, by name. */
  readonly tapped = new Map<string, TensorData>();

  /** Encodes the questions, each at its own length, and computes what all steps read of them. */
  static async open(
    runner: Runner,
    weights: TextWeights,
    config: TextConfig,
    questions: readonly Question[],
    settings: GenerationSettings,
    recording: RecordingOptions = {},
  ): Promise<DecodingSession> {
    const session = new DecodingSession(runner, weights, config, questions, settings, recording);
    try {
      const together = session.#questionsTogether();
      for (let from = 0; from < questions.length; from += together)
        await session.#encode(questions.slice(from, from + together), from);
      return session;
    } catch (error) {
      session.dispose();
      throw error;
    }
  }

  private constructor(
    runner: Runner,
    weights: TextWeights,
    config: TextConfig,
    questions: readonly Question[],
    settings: GenerationSettings,
    recording: RecordingOptions,
  ) {
    this.#runner = runner;
    this.#weights = weights;
    this.#config = config;
    this.#recording = { ...recording, profile: runner.profile };
    this.#search = new Search(runner, questions.length, settings);
    const lengths = questions.map(({ image, promptIds }) => image.shape[0]! + promptIds.length);
    this.#lengths = runner.upload("source lengths", [questions.length], Uint32Array.from(lengths));
    this.#cross = crossCache(this.#allocate, lengths, config);
    this.#layers = this.#newLayers(0);
  }

  /** Takes the next steps of the search in one go and returns what each decided, by step and row. */
  async advance(): Promise<TraceRow[][]> {
    const { maxNewTokens, signal } = this.#search.settings;
    const max = this.#position === 0 ? FIRST_STEPS : STEPS_PER_SUBMIT;
    const steps = Math.min(max, maxNewTokens - this.#position);
    await this.#reserve(steps, (rec, caches) => {
      const { state, settings } = this.#search;
      recordSearchedStep(rec, this.#weights, caches, state, this.#config, settings);
    });
    await this.#program!.run(signal, steps);
    this.#position += steps;
    return this.#search.read(steps);
  }

  /** Feeds the next token of each row from outside and returns the logits (R, V) that follow. */
  async feed(tokens: Uint32Array): Promise<Float32Array> {
    const runner = this.#runner;
    await this.#reserve(1, (rec, caches) => {
      this.#logits = rec.keep(recordStep(rec, this.#weights, caches, this.#search.state, this.#config));
    });
    const { state } = this.#search;
    runner.write(state.tokens, tokens);
    runner.write(positionOf(state), Uint32Array.of(this.#position));
    await this.#program!.run();
    this.#position++;
    for (const [name, tensor] of this.#taps) this.tapped.set(name, await runner.read(tensor));
    return (await runner.read(this.#logits!)) as Float32Array;
  }

  dispose(): void {
    this.#program?.dispose();
    this.#search.dispose();
    const caches = this.#layers.flatMap(({ keys, values }) => [keys, values]);
    for (const tensor of [this.#lengths, this.#cross, ...caches]) this.#runner.free(tensor);
  }

  readonly #allocate: Allocate = (...tensor) => this.#runner.zeros(...tensor);

  #newLayers(capacity: number): DecoderState["layers"] {
    const images = this.#lengths.shape[0]!;
    return layerCaches(this.#allocate, this.#cross, images, this.#search.rows, capacity, this.#config);
  }

  /** How many questions are encoded side by side: the hidden layer of the feed-forward takes most. */
  #questionsTogether(): number {
    const source = this.#cross.shape[1]! / this.#lengths.shape[0]!;
    const bytes = source * this.#config.encoderFfnDim * BYTES_PER_ELEMENT;
    return Math.max(1, Math.floor(TOGETHER_BYTES / bytes));
  }

  /** Encodes questions side by side, the first of which is number `first`. */
  async #encode(questions: readonly Question[], first: number): Promise<void> {
    const runner = this.#runner;
    const inputs: Tensor[] = [];
    let program: Program | undefined;
    try {
      const start = runner.zeros("start", [1], "u32");
      inputs.push(start);
      for (const { promptIds } of questions)
        inputs.push(runner.upload("prompt", [promptIds.length], Uint32Array.from(promptIds)));
      const rec = new Recording(this.#recording);
      const source = this.#cross.shape[1]! / this.#lengths.shape[0]!;
      rec.together(questions.length, (i) => {
        const tensors = { image: questions[i]!.image, prompt: inputs[1 + i]!, start, cross: this.#cross };
        recordEncoding(rec, this.#weights, tensors, (first + i) * source, this.#config);
      });
      program = await runner.prepare(rec);
      await program.run(this.#search.settings.signal);
      for (const [name, tensor] of rec.taps) this.tapped.set(name, await runner.read(tensor));
    } finally {
      program?.dispose();
      for (const tensor of inputs) runner.free(tensor);
    }
  }

  /**
   * Makes sure that the caches hold the next `steps` steps and the token after them, keeping the past. Larger
   * caches are other tensors: the step is then recorded anew.
   */
  async #reserve(
    steps: number,
    record: (rec: Recording, caches: Pick<DecoderState, "lengths" | "layers">) => void,
  ): Promise<void> {
    const runner = this.#runner;
    const past = this.#capacity;
    const { maxNewTokens } = this.#search.settings;
    const needed = Math.min(this.#position + steps + 1, maxNewTokens);
    if (needed <= past) return;
    this.#capacity = Math.min(Math.max(FIRST_CAPACITY, 2 * past, needed), maxNewTokens);
    const smaller = this.#layers;
    this.#layers = this.#newLayers(this.#capacity);
    for (const [i, { keys, values }] of smaller.entries()) {
      const larger = this.#layers[i]!;
      if (past > 0) runner.copy(keys, rows(larger.keys, 0, past));
      if (past > 0) runner.copy(values, rows(larger.values, 0, past));
      for (const tensor of [keys, values]) runner.free(tensor);
    }
    this.#search.reserve(this.#capacity);
    this.#program?.dispose();
    const rec = new Recording(this.#recording);
    record(rec, { lengths: this.#lengths, layers: this.#layers });
    this.#taps = rec.taps;
    this.#program = await runner.prepare(rec);
  }
}
