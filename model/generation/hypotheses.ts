import { Florence2Error } from "../../core/errors.ts";
import type { Ended, TraceRow } from "../../kernels/shared/search_trace.ts";
import { LOWEST } from "../../kernels/shared/vocabulary.ts";
import { type GenerationSettings, listOf } from "./options.ts";
import type { GeneratedSequence } from "./report.ts";

/** The answers of one search, put together from what its steps decided. */
export class Hypotheses {
  done = false;
  readonly #settings: GenerationSettings;
  readonly #firstRow: number;
  readonly #steps: (readonly TraceRow[])[] = [];

  /** @param firstRow of the batch that belongs to this search */
  constructor(settings: GenerationSettings, firstRow: number) {
    this.#settings = settings;
    this.#firstRow = firstRow;
  }

  /**
   * Takes in one more step, given the rows of the whole batch.
   *
   * @throws Florence2Error `non_finite` for a logit that is NaN or infinite, `option_invalid` if the options
   *   left no token to continue with
   */
  append(batch: readonly TraceRow[]): void {
    const { numBeams, rowsPerImage } = this.#settings;
    const step = this.#steps.length;
    const rows = batch.slice(this.#firstRow, this.#firstRow + numBeams);
    const broken = rows.find(({ brokenToken }) => brokenToken >= 0);
    if (broken) throw notFinite(step, Math.floor(this.#firstRow / rowsPerImage), broken);
    this.#steps.push(rows);
    this.done = rows[0]!.done !== 0;
    if (this.done && this.#ended().length === 0) throw noTokenLeft(step);
  }

  /** The new tokens that are certain: what all beams and ended answers begin with, or once done the answers. */
  certain(): readonly (readonly number[])[] {
    if (this.done) return this.sequences().map(({ tokens }) => tokens.slice(1));
    const last = this.#steps.length - 1;
    const running = this.#steps[last]!.flatMap(({ score }, i) =>
      score > LOWEST ? [this.#path(last, this.#firstRow + i)] : [],
    );
    const [first, ...others] = [...running, ...this.#ended().map((ended) => this.#pathOf(ended))];
    const fork = first!.findIndex(({ token }, i) => others.some((path) => path[i]?.token !== token));
    return [first!.slice(0, fork === -1 ? undefined : fork).map(({ token }) => token)];
  }

  /** The answers, best first, once done. */
  sequences(): GeneratedSequence[] {
    const { numReturnSequences, model } = this.#settings;
    return this.#ended()
      .slice(0, numReturnSequences)
      .map((ended) => {
        const path = this.#pathOf(ended);
        return {
          tokens: [model.decoderStartTokenId, ...path.map(({ token }) => token)],
          score: ended.score,
          logProbs: path.map(({ logProb }) => logProb),
          masses: path.map(({ masses }) => (masses && masses[0]! > 0 ? masses : undefined)),
          finishReason: this.#finishReason(ended),
        };
      });
  }

  #ended(): Ended[] {
    return this.#steps.at(-1)!.flatMap(({ ended }) => (ended.score > LOWEST ? [ended] : []));
  }

  #finishReason({ step, token }: Ended): "stop" | "length" {
    const { maxNewTokens, forcedEosTokenId, model } = this.#settings;
    const chosenEnd = listOf(model.eosTokenId).includes(token) && forcedEosTokenId === null;
    return step + 1 === maxNewTokens && !chosenEnd ? "length" : "stop";
  }

  #pathOf(
    ended: Ended,
  ): readonly (Pick<TraceRow, "token" | "logProb"> & Partial<Pick<TraceRow, "masses">>)[] {
    return [...this.#path(ended.step - 1, ended.parent), ended];
  }

  /** The tokens up to a step, along the beam that has this row of the batch then. */
  #path(step: number, row: number): TraceRow[] {
    const path: TraceRow[] = [];
    for (let t = step, r = row; t >= 0; t--) {
      const beam = this.#steps[t]![r - this.#firstRow]!;
      path.push(beam);
      r = beam.parent;
    }
    return path.reverse();
  }
}

function notFinite(step: number, image: number, { brokenToken: token, brokenLogit: logit }: TraceRow) {
  return new Florence2Error(
    "non_finite",
    `step ${step}, image ${image}: the logit of token ${token} is ${logit}; the weights or the arithmetic that led to it are broken`,
    { step, image, token, logit },
  );
}

function noTokenLeft(step: number): Florence2Error {
  return new Florence2Error(
    "option_invalid",
    `step ${step}: noRepeatNgramSize and minNewTokens together ban every token; lower one of them`,
    { step },
  );
}
