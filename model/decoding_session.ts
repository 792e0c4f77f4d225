import { Recording, type RecordingOptions } from "../core/recording.ts";
import type { Program, Runner } from "../core/runner.ts";
import { reshape, rows, type Tensor, type TensorData } from "../core/tensor.ts";
import type { TraceRow } from "../kernels/shared/search_trace.ts";
import { crossKeysValues, type DecoderState, decodeStep, encode, type TextWeights } from "./bart.ts";
import type { TextConfig } from "./config/config.ts";
import type { GenerationSettings } from "./generation/options.ts";
import { Search } from "./generation/search.ts";

/** One picture (tokens I, d) and the prompt that asks about it. */
export interface Question {
  readonly image: Tensor;
  readonly promptIds: readonly number[];
}

/** Source lengths are rounded up to this, so that each picture's part of a cache can be bound. */
const SOURCE_MULTIPLE = 64;
/** Steps that the caches hold at first; doubled as the answer grows. */
const FIRST_CAPACITY = 64;
/** Steps that are submitted first: a forced beginning of the sentence and one word, so that a stream begins soon. */
export const FIRST_STEPS = 2;
/** Steps that are submitted at a time from then on, and read back together. */
export const STEPS_PER_SUBMIT = 8;

/**
 * Answers being decoded: the caches of some questions and their beams, and the recorded step that runs
 * once for each token. Rows are pictures times beams, a picture's beams side by side. A session either
 * searches (`advance`) or is fed tokens from outside (`feed`).
 */
export class DecodingSession {
  readonly #runner: Runner;
  readonly #weights: TextWeights;
  readonly #config: TextConfig;
  readonly #recording: RecordingOptions;
  readonly #search: Search;
  readonly #lengths: Tensor;
  /** (layers, pictures * S, 2d). */
  readonly #cross: Tensor;
  #layers: DecoderState["layers"];
  #capacity = 0;
  #position = 0;
  #program: Program | undefined;
  #logits: Tensor | undefined;
  #taps: ReadonlyMap<string, { readonly tensor: Tensor }> = new Map();

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
      for (const [p, question] of questions.entries()) await session.#encode(p, question);
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
    const lengths = Uint32Array.from(questions, ({ image, promptIds }) => image.shape[0]! + promptIds.length);
    const source = Math.ceil(Math.max(...lengths) / SOURCE_MULTIPLE) * SOURCE_MULTIPLE;
    this.#lengths = runner.upload("source lengths", [questions.length], lengths);
    const { layers } = weights.decoder;
    const columns = 2 * config.dModel;
    this.#cross = runner.zeros("cross keys and values", [layers.length, questions.length * source, columns]);
    this.#layers = layers.map((_, i) => ({
      keys: runner.zeros(`layer ${i} keys`, [1]),
      values: runner.zeros(`layer ${i} values`, [1]),
      cross: reshape(rows(this.#cross, i, i + 1), [questions.length, source, columns]),
    }));
  }

  /** Stages of the last encoding and the last step that were asked for, by name. */
  readonly tapped = new Map<string, TensorData>();

  /** Takes the next steps of the search in one go and returns what each decided, by step and row. */
  async advance(): Promise<TraceRow[][]> {
    const { maxNewTokens, signal } = this.#search.settings;
    const most = this.#position === 0 ? FIRST_STEPS : STEPS_PER_SUBMIT;
    const steps = Math.min(most, maxNewTokens - this.#position);
    await this.#makeRoom(steps, (rec, logits) => this.#search.record(rec, logits));
    await this.#program!.run(signal, steps);
    this.#position += steps;
    return this.#search.read(steps);
  }

  /** Feeds the next token of each row from outside and returns the logits (R, V) that follow. */
  async feed(tokens: Uint32Array): Promise<Float32Array> {
    await this.#makeRoom(1, (rec, logits) => {
      this.#logits = rec.keep(logits);
    });
    this.#runner.write(this.#search.tokens, tokens);
    this.#runner.write(this.#search.position, Uint32Array.of(this.#position));
    await this.#program!.run();
    this.#position++;
    for (const [name, { tensor }] of this.#taps) this.tapped.set(name, await this.#runner.read(tensor));
    return (await this.#runner.read(this.#logits!)) as Float32Array;
  }

  dispose(): void {
    this.#program?.dispose();
    this.#search.dispose();
    const caches = this.#layers.flatMap(({ keys, values }) => [keys, values]);
    for (const tensor of [this.#lengths, this.#cross, ...caches]) this.#runner.free(tensor);
  }

  async #encode(picture: number, { image, promptIds }: Question): Promise<void> {
    const runner = this.#runner;
    const prompt = runner.upload("prompt", [promptIds.length], Uint32Array.from(promptIds));
    const start = runner.zeros("start", [1], "u32");
    const rec = new Recording(this.#recording);
    const encoded = encode(rec, this.#weights, image, prompt, start, this.#config);
    const source = this.#cross.shape[1]! / this.#lengths.shape[0]!;
    crossKeysValues(rec, this.#weights, encoded, this.#cross, picture * source);
    const program = await runner.prepare(rec);
    try {
      await program.run(this.#search.settings.signal);
      for (const [name, { tensor }] of rec.taps) this.tapped.set(name, await runner.read(tensor));
    } finally {
      program.dispose();
      runner.free(prompt);
      runner.free(start);
    }
  }

  /**
   * Makes sure that the next `steps` steps fit, and the place of the token after them, keeping the past;
   * larger caches have the step recorded anew around them.
   *
   * @param use what is done with the logits of the step
   */
  async #makeRoom(steps: number, use: (rec: Recording, logits: Tensor) => void): Promise<void> {
    const runner = this.#runner;
    const past = this.#capacity;
    const { maxNewTokens } = this.#search.settings;
    const needed = Math.min(this.#position + steps + 1, maxNewTokens);
    if (needed <= past) return;
    this.#capacity = Math.min(Math.max(FIRST_CAPACITY, 2 * past, needed), maxNewTokens);
    const enlarge = (cache: Tensor): Tensor => {
      const larger = runner.zeros(cache.storage.label, [
        this.#capacity,
        this.#search.rows,
        this.#config.dModel,
      ]);
      if (past > 0) runner.copy(cache, rows(larger, 0, past));
      runner.free(cache);
      return larger;
    };
    this.#layers = this.#layers.map(({ keys, values, cross }) => ({
      keys: enlarge(keys),
      values: enlarge(values),
      cross,
    }));
    this.#search.reserve(this.#capacity);
    this.#program?.dispose();
    const rec = new Recording(this.#recording);
    const { tokens, position, ancestry } = this.#search;
    const state = { tokens, position, ancestry, lengths: this.#lengths, layers: this.#layers };
    const logits = decodeStep(rec, this.#weights, state, this.#config);
    this.#taps = rec.taps;
    use(rec, logits);
    this.#program = await runner.prepare(rec);
  }
}
