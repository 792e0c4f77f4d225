import { Recording, type RecordingOptions } from "../core/recording.ts";
import type { Program, Runner } from "../core/runner.ts";
import { reshape, rows, type Tensor, type TensorData } from "../core/tensor.ts";
import { crossKeysValues, type DecoderState, decodeStep, encode, type TextWeights } from "./bart.ts";
import type { TextConfig } from "./config.ts";

/** One picture (tokens I, d) and the prompt that asks about it. */
export interface Question {
  readonly image: Tensor;
  readonly promptIds: readonly number[];
}

/** Source lengths are rounded up to this, so that each picture's part of a cache can be bound. */
const SOURCE_MULTIPLE = 64;
/** Steps that the caches hold at first; doubled as the answer grows. */
const FIRST_CAPACITY = 64;

/**
 * Answers being decoded: the caches of some questions and their beams, and the recorded step that runs
 * once for each token. Rows are pictures times beams, a picture's beams side by side.
 */
export class DecodingSession {
  readonly #runner: Runner;
  readonly #weights: TextWeights;
  readonly #config: TextConfig;
  readonly #recording: RecordingOptions;
  readonly #beams: number;
  readonly #pictures: number;
  #state: DecoderState;
  #capacity = 0;
  #program: Program | undefined;
  #logits: Tensor | undefined;
  #taps: ReadonlyMap<string, { readonly tensor: Tensor }> = new Map();
  /** By row and step: see `DecoderState.ancestry`. */
  #ancestry: Uint32Array;

  /** Encodes the questions, each at its own length, and computes what all steps read of them. */
  static async open(
    runner: Runner,
    weights: TextWeights,
    config: TextConfig,
    questions: readonly Question[],
    beams: number,
    recording: RecordingOptions = {},
    signal?: AbortSignal,
  ): Promise<DecodingSession> {
    const session = new DecodingSession(runner, weights, config, questions, beams, recording);
    try {
      for (const [p, question] of questions.entries()) await session.#encode(p, question, signal);
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
    beams: number,
    recording: RecordingOptions,
  ) {
    this.#runner = runner;
    this.#weights = weights;
    this.#config = config;
    this.#recording = { ...recording, profile: runner.profile };
    this.#beams = beams;
    this.#pictures = questions.length;
    const lengths = Uint32Array.from(questions, ({ image, promptIds }) => image.shape[0]! + promptIds.length);
    const source = Math.ceil(Math.max(...lengths) / SOURCE_MULTIPLE) * SOURCE_MULTIPLE;
    this.#ancestry = new Uint32Array();
    this.#state = {
      tokens: runner.zeros("decoder tokens", [this.rows], "u32"),
      position: runner.zeros("decoder position", [1], "u32"),
      lengths: runner.upload("source lengths", [this.#pictures], lengths),
      ancestry: runner.zeros("ancestry", [1], "u32"),
      layers: weights.decoder.layers.map((_, i) => ({
        keys: runner.zeros(`layer ${i} keys`, [1]),
        values: runner.zeros(`layer ${i} values`, [1]),
        cross: runner.zeros(`layer ${i} cross keys and values`, [this.#pictures, source, 2 * config.dModel]),
      })),
    };
  }

  get rows(): number {
    return this.#pictures * this.#beams;
  }

  /** Stages of the last encoding and the last step that were asked for, by name. */
  readonly tapped = new Map<string, TensorData>();

  /**
   * Feeds one token to each row and returns the logits (R, V) that follow.
   *
   * @param tokens the newest token of each row
   * @param parents the row of the previous step whose history each row continues
   * @param position how many tokens came before
   */
  async step(
    tokens: Uint32Array,
    parents: Uint32Array,
    position: number,
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    if (position >= this.#capacity) await this.#grow(position + 1);
    const T = this.#capacity;
    const ancestry = new Uint32Array(this.#ancestry.length);
    for (const [row, parent] of parents.entries()) {
      ancestry.set(this.#ancestry.subarray(parent * T, parent * T + position), row * T);
      ancestry[row * T + position] = row;
    }
    this.#ancestry = ancestry;
    this.#runner.write(this.#state.tokens, tokens);
    this.#runner.write(this.#state.position, Uint32Array.of(position));
    this.#runner.write(this.#state.ancestry, ancestry);
    await this.#program!.run(signal);
    for (const [name, { tensor }] of this.#taps) this.tapped.set(name, await this.#runner.read(tensor));
    return (await this.#runner.read(this.#logits!)) as Float32Array;
  }

  dispose(): void {
    this.#program?.dispose();
    const { tokens, position, ancestry, lengths, layers } = this.#state;
    const caches = layers.flatMap(({ keys, values, cross }) => [keys, values, cross]);
    for (const tensor of [tokens, position, ancestry, lengths, ...caches]) this.#runner.free(tensor);
  }

  async #encode(picture: number, { image, promptIds }: Question, signal?: AbortSignal): Promise<void> {
    const runner = this.#runner;
    const prompt = runner.upload("prompt", [promptIds.length], Uint32Array.from(promptIds));
    const start = runner.zeros("start", [1], "u32");
    const rec = new Recording(this.#recording);
    const encoded = encode(rec, this.#weights, image, prompt, start, this.#config);
    const slots = this.#state.layers.map(({ cross }) => {
      const [pictures, source, columns] = cross.shape as [number, number, number];
      const flat = reshape(cross, [pictures * source, columns]);
      return rows(flat, picture * source, picture * source + encoded.shape[0]!);
    });
    crossKeysValues(rec, this.#weights, encoded, slots);
    const program = await runner.prepare(rec);
    try {
      await program.run(signal);
      for (const [name, { tensor }] of rec.taps) this.tapped.set(name, await runner.read(tensor));
    } finally {
      program.dispose();
      runner.free(prompt);
      runner.free(start);
    }
  }

  /** Makes room for `steps` steps, keeping the past, and records the step anew around the larger caches. */
  async #grow(steps: number): Promise<void> {
    const runner = this.#runner;
    const past = this.#capacity;
    const doubled = Math.max(FIRST_CAPACITY, 2 * past, steps);
    this.#capacity = Math.max(steps, Math.min(doubled, this.#config.maxPositionEmbeddings));
    const enlarge = (cache: Tensor): Tensor => {
      const larger = runner.zeros(cache.storage.label, [this.#capacity, this.rows, this.#config.dModel]);
      if (past > 0) runner.copy(cache, rows(larger, 0, past));
      runner.free(cache);
      return larger;
    };
    const ancestry = new Uint32Array(this.rows * this.#capacity);
    for (let row = 0; row < this.rows; row++) {
      ancestry.set(this.#ancestry.subarray(row * past, (row + 1) * past), row * this.#capacity);
    }
    this.#ancestry = ancestry;
    runner.free(this.#state.ancestry);
    this.#state = {
      ...this.#state,
      ancestry: runner.zeros("ancestry", [this.rows, this.#capacity], "u32"),
      layers: this.#state.layers.map(({ keys, values, cross }) => ({
        keys: enlarge(keys),
        values: enlarge(values),
        cross,
      })),
    };
    this.#program?.dispose();
    const rec = new Recording(this.#recording);
    this.#logits = rec.keep(decodeStep(rec, this.#weights, this.#state, this.#config));
    this.#taps = rec.taps;
    this.#program = await runner.prepare(rec);
  }
}
