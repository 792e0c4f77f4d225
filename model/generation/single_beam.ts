import { Highest } from "./highest.ts";
import type { GenerationSettings } from "./options.ts";
import { gumbelNoise } from "./random.ts";
import { narrow } from "./sampling.ts";
import { applyRules, logSumExp, noTokenLeft } from "./scores.ts";
import type { GeneratedSequence, Search } from "./search.ts";
import { endedSequence } from "./sequence.ts";

/**
 * Greedy search, or sampling of one or several independent answers: each row takes one token per step and
 * never looks back. The loop is `transformers.GenerationMixin._sample`; of equal scores the lowest token wins.
 */
export class SingleBeam implements Search {
  readonly tokens: Uint32Array;
  readonly parents: Uint32Array;
  readonly #settings: GenerationSettings;
  readonly #answers: { tokens: number[]; logProbs: number[]; ended: boolean }[];
  readonly #scores: Float32Array;

  constructor(settings: GenerationSettings) {
    const { model, rowsPerPicture } = settings;
    this.#settings = settings;
    this.tokens = new Uint32Array(rowsPerPicture).fill(model.decoderStartTokenId);
    this.parents = Uint32Array.from(this.tokens.keys());
    this.#answers = Array.from(this.tokens, (start) => ({ tokens: [start], logProbs: [], ended: false }));
    this.#scores = new Float32Array(model.vocabSize);
  }

  get done(): boolean {
    return this.#answers.every((answer) => answer.ended);
  }

  advance(logits: Float32Array): void {
    const { maxNewTokens, model } = this.#settings;
    for (const [row, answer] of this.#answers.entries()) {
      if (answer.ended) continue;
      this.#scores.set(logits.subarray(row * model.vocabSize, (row + 1) * model.vocabSize));
      const { token, logProb } = this.#choose(row, answer.tokens);
      answer.tokens.push(token);
      answer.logProbs.push(logProb);
      answer.ended = token === model.eosTokenId || answer.logProbs.length === maxNewTokens;
      this.tokens[row] = token;
    }
  }

  certain(): readonly (readonly number[])[] {
    return this.#answers.map((answer) => answer.tokens.slice(1));
  }

  sequences(): GeneratedSequence[] {
    return this.#answers.map(({ tokens, logProbs }) =>
      endedSequence(
        tokens,
        logProbs,
        logProbs.reduce((sum, logProb) => sum + logProb, 0),
        this.#settings,
      ),
    );
  }

  #choose(row: number, tokens: readonly number[]): { token: number; logProb: number } {
    const scores = this.#scores;
    const { doSample, seed } = this.#settings;
    const step = tokens.length - 1;
    applyRules(scores, tokens, this.#settings);
    if (doSample) narrow(scores, this.#settings);

    const best = new Highest(1);
    for (let token = 0; token < scores.length; token++) {
      const score = scores[token]!;
      if (score === -Infinity) continue;
      best.offer(doSample ? score + gumbelNoise(seed, step, row, token) : score, token);
    }
    if (best.count === 0) throw noTokenLeft(step);
    const token = best.indices[0]!;
    const { max, logSum } = logSumExp(scores);
    return { token, logProb: Math.fround(Math.fround(scores[token]! - max) - logSum) };
  }
}
