import { ceilDiv } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import type { Runner } from "../../core/runner.ts";
import { type Allocate, elementsOf, expectShape, reshape, rows, type Tensor } from "../../core/tensor.ts";
import { locationMass } from "../../kernels/location_mass/location_mass.ts";
import { logSumExp } from "../../kernels/log_sum_exp/log_sum_exp.ts";
import { NO_RULES, rankTokens } from "../../kernels/rank_tokens/rank_tokens.ts";
import { samplingFilter } from "../../kernels/sampling_filter/sampling_filter.ts";
import { type SearchState, searchStep } from "../../kernels/search_step/search_step.ts";
import { readTraceRow, TRACE_ROW, type TraceRow } from "../../kernels/shared/search_trace.ts";
import { SLICE } from "../../kernels/shared/vocabulary.ts";
import { type GenerationSettings, integer, listOf } from "./options.ts";

/** How many rows of the decoder a batch of this many images has. */
export const rowsOfBatch = (batch: number, { rowsPerImage }: GenerationSettings): number =>
  integer("batch", batch, 1, Number.MAX_SAFE_INTEGER) * rowsPerImage;

/** What a search keeps, and what its rules are told of the model. */
export interface SearchTensors extends SearchState {
  /** u32 (E): any of these tokens ends an answer. */
  readonly endTokens: Tensor;
  /** u32 (F): the tokens that may come last where the last one is forced; one that nothing reads where none is. */
  readonly forcedLast: Tensor;
}

/** The tensors of the searches of R rows, of which `trace` and `ancestry` have room for `capacity` steps. */
export function searchState(
  allocate: Allocate,
  R: number,
  capacity: number,
  { numBeams, maxNewTokens, forcedEosTokenId, model }: GenerationSettings,
): SearchTensors {
  return {
    positions: allocate("positions", [R / numBeams], "u32"),
    trace: allocate("trace", [capacity, R, TRACE_ROW], "u32"),
    tokens: allocate("tokens", [R], "u32"),
    ancestry: allocate("ancestry", [R, capacity], "u32"),
    running: allocate("running", [1], "u32"),
    lengths: allocate("lengths", [maxNewTokens + 1]),
    endTokens: allocate("end_tokens", [listOf(model.eosTokenId).length], "u32"),
    forcedLast: allocate("forced_last", [listOf(forcedEosTokenId ?? 0).length], "u32"),
  };
}

/** u32 (1): how many tokens came before. */
export const positionOf = ({ positions }: SearchState): Tensor => rows(positions, 0, 1);

/**
 * Greedy search, beam search or sampling for a batch of images, on the device of the decoder. Rows are images
 * times beams, or times answers where there is one beam; each answer then is a search of its own.
 */
export class Search {
  readonly settings: GenerationSettings;
  readonly rows: number;
  readonly #runner: Runner;
  #state: SearchTensors;
  #stepsRead = 0;

  /** @param batch number of images */
  constructor(runner: Runner, batch: number, settings: GenerationSettings) {
    const { numBeams, maxNewTokens, lengthPenalty, forcedEosTokenId, model } = settings;
    const R = rowsOfBatch(batch, settings);
    this.settings = settings;
    this.rows = R;
    this.#runner = runner;
    this.#state = searchState((...tensor) => runner.zeros(...tensor), R, 0, settings);
    const { tokens, running, lengths, endTokens, forcedLast } = this.#state;
    runner.write(tokens, new Uint32Array(R).fill(model.decoderStartTokenId));
    runner.write(running, Uint32Array.of(R / numBeams));
    runner.write(endTokens, Uint32Array.from(listOf(model.eosTokenId)));
    runner.write(forcedLast, Uint32Array.from(listOf(forcedEosTokenId ?? 0)));
    const divisors = Float32Array.from({ length: maxNewTokens + 1 }, (_, length) => length ** lengthPenalty);
    runner.write(lengths, divisors);
  }

  /** Its tensors, which `reserve` replaces. */
  get state(): SearchTensors {
    return this.#state;
  }

  /** Makes room for `capacity` steps, keeping the past. Earlier recordings are void. */
  reserve(capacity: number): void {
    const runner = this.#runner;
    const { trace, ancestry } = this.#state;
    const past = ancestry.shape[1]!;
    const histories = new Uint32Array(this.rows * capacity);
    for (let row = 0; row < this.rows; row++) histories[row * capacity] = row;
    const larger = {
      trace: runner.zeros("trace", [capacity, this.rows, TRACE_ROW], "u32"),
      ancestry: runner.upload("ancestry", [this.rows, capacity], histories),
    };
    if (past > 0) {
      runner.copy(trace, rows(larger.trace, 0, past));
      const flat = (table: Tensor) => reshape(table, [elementsOf(table.shape)]);
      for (let row = 0; row < this.rows; row++) {
        const known = rows(flat(ancestry), row * past, (row + 1) * past);
        runner.copy(known, rows(flat(larger.ancestry), row * capacity, row * capacity + past));
      }
    }
    for (const tensor of [trace, ancestry]) runner.free(tensor);
    this.#state = { ...this.#state, ...larger };
  }

  /** Records one step for all rows, given the logits (R, V) that follow their tokens. */
  record(rec: Recording, logits: Tensor): void {
    recordSearchStep(rec, logits, this.#state, this.settings);
  }

  /** The decisions of the next steps, by step and row; the steps have to have run. */
  async read(steps: number): Promise<TraceRow[][]> {
    const from = this.#stepsRead;
    this.#stepsRead += steps;
    const words = (await this.#runner.read(rows(this.#state.trace, from, from + steps))) as Uint32Array;
    return Array.from({ length: steps }, (_, step) =>
      Array.from({ length: this.rows }, (_, row) => readTraceRow(words, step * this.rows + row)),
    );
  }

  dispose(): void {
    for (const tensor of Object.values(this.#state)) this.#runner.free(tensor);
  }
}

/**
 * Records one step of the searches for all rows. The logits are not kept.
 *
 * @param logits (R, V): the scores of the tokens that may follow, which this step overwrites when it samples
 */
export function recordSearchStep(
  rec: Recording,
  logits: Tensor,
  search: SearchTensors,
  settings: GenerationSettings,
): void {
  const { numBeams, rowsPerImage, doSample, maxNewTokens, earlyStopping, lengthPenalty, model } = settings;
  const state = { ...search, position: positionOf(search) };
  const { vocabSize } = model;
  const endTokens = listOf(model.eosTokenId).length;
  const R = search.tokens.shape[0]!;
  expectShape(logits, [R, vocabSize], "logits of a search");
  rec.runWhile(state.running);

  const sums = rec.temp([R, ceilDiv(vocabSize, SLICE), 4]);
  const beams = numBeams > 1;
  const next = {
    width: numBeams,
    // Each beam may end in as many ways as there are end tokens; numBeams more leave enough to go on with.
    best: beams ? (1 + endTokens) * numBeams : 1,
    startToken: model.decoderStartTokenId,
  };
  // Beams are compared by log-probabilities before the rules, answers without beams by scores after them.
  if (beams) logSumExp(rec, logits, sums);
  let candidates = rankTokens(rec, logits, sums, state, {
    ...next,
    normalize: beams,
    rules: {
      ngram: Math.min(settings.noRepeatNgramSize, maxNewTokens + 1),
      penalty: settings.repetitionPenalty,
      minimum: settings.minNewTokens,
      maximum: maxNewTokens,
      forcedFirst: settings.forcedBosTokenId,
      forcesLast: settings.forcedEosTokenId !== null,
    },
  });
  if (doSample) {
    const { temperature, topK, topP, seed } = settings;
    // Beam search needs one token more than may end, so that a beam can go on when its likeliest tokens are ends.
    samplingFilter(rec, logits, { temperature, topK, topP, minKept: beams ? 1 + endTokens : 1 });
    const noise = { seed, rowsPerImage };
    candidates = rankTokens(rec, logits, sums, state, {
      ...next,
      normalize: false,
      rules: NO_RULES,
      noise,
    });
  }
  if (!beams) logSumExp(rec, logits, sums);
  const bounded = earlyStopping === "never" && lengthPenalty > 0;
  searchStep(rec, candidates, sums, state, {
    maximum: maxNewTokens,
    stop: earlyStopping === true || (bounded ? "at most" : "at length so far"),
  });
  const firstLocation = model.firstLocationId;
  if (firstLocation === undefined) return;
  // Scores of beams are log-probabilities, unless a draw has divided and filtered them.
  if (beams && doSample) logSumExp(rec, logits, sums);
  locationMass(rec, logits, sums, state, { firstLocation, normalize: !beams || doSample });
}
