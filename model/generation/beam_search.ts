import { Highest } from "./highest.ts";
import type { GenerationSettings } from "./options.ts";
import { gumbelNoise } from "./random.ts";
import { narrow } from "./sampling.ts";
import { applyRules, logSoftmax, noTokenLeft } from "./scores.ts";
import type { GeneratedSequence, Search } from "./search.ts";
import { endedSequence, lengthPenalized } from "./sequence.ts";

interface Beam {
  tokens: readonly number[];
  logProbs: readonly number[];
  /** Sum of the log-probabilities, float32. */
  score: number;
}

/** A beam of this step and one more token. */
interface Candidate {
  beam: number;
  token: number;
  logProb: number;
  score: number;
}

/**
 * Beam search, or beam sampling, for one picture: up to `numBeams` beams run side by side, and the best
 * `numBeams` answers that ended are kept. Equal in outcome to `transformers.GenerationMixin._beam_search`
 * from 4.50 on, which always computes all beams of all pictures and pushes what is ruled out down by 1e9;
 * here it is not there at all. Scores are float32; of equal scores the lower beam wins, then the lower token.
 */
export class BeamSearch implements Search {
  readonly tokens: Uint32Array;
  readonly parents: Uint32Array;
  done = false;
  readonly #settings: GenerationSettings;
  /** Descending score. */
  #running: Beam[];
  /** Descending score, at most `numBeams`. */
  #ended: GeneratedSequence[] = [];
  #generated = 0;
  readonly #scores: Float32Array;

  constructor(settings: GenerationSettings) {
    const { model, numBeams } = settings;
    this.#settings = settings;
    this.tokens = new Uint32Array(numBeams).fill(model.decoderStartTokenId);
    this.parents = Uint32Array.from(this.tokens.keys());
    // One beam to begin with: several equal ones would find the same answer several times.
    this.#running = [{ tokens: [model.decoderStartTokenId], logProbs: [], score: 0 }];
    this.#scores = new Float32Array(numBeams * model.vocabSize);
  }

  advance(logits: Float32Array): void {
    const { numBeams, maxNewTokens, model } = this.#settings;
    const candidates = this.#candidates(logits);
    this.#generated++;
    const atLimit = this.#generated === maxNewTokens;
    const ends = ({ token }: Candidate) => atLimit || token === model.eosTokenId;

    // An end that ranks below numBeams is not worth keeping: numBeams better beams are still running.
    const ended = candidates
      .slice(0, numBeams)
      .filter(ends)
      .map((candidate) => this.#end(candidate));
    this.#ended = [...this.#ended, ...ended].sort(byScore).slice(0, numBeams);
    const goingOn = candidates.filter((candidate) => !ends(candidate)).sort(byScore);
    this.#continueWith(goingOn.slice(0, numBeams));
    this.done = !this.#canImprove();
    if (this.done && this.#ended.length === 0) throw noTokenLeft(this.#generated - 1);
  }

  /** Before the end only the best answer's: the tokens that all running and all ended beams begin with. */
  certain(): readonly (readonly number[])[] {
    if (this.done) return this.sequences().map(({ tokens }) => tokens.slice(1));
    const [first, ...others] = [...this.#running, ...this.#ended].map(({ tokens }) => tokens);
    const fork = first!.findIndex((token, i) => others.some((tokens) => tokens[i] !== token));
    return [first!.slice(1, fork === -1 ? undefined : fork)];
  }

  sequences(): GeneratedSequence[] {
    return this.#ended.slice(0, this.#settings.numReturnSequences);
  }

  /** The best 2 * numBeams ways to go on, or as many drawn without replacement, in the order of drawing. */
  #candidates(logits: Float32Array): Candidate[] {
    const { numBeams, doSample, seed, model } = this.#settings;
    const { vocabSize } = model;
    const scores = this.#scores;
    scores.set(logits);

    // At most numBeams candidates end, so twice as many leave enough to go on with.
    const best = new Highest(2 * numBeams);
    for (const [row, beam] of this.#running.entries()) {
      const logProbs = scores.subarray(row * vocabSize, (row + 1) * vocabSize);
      logSoftmax(logProbs);
      applyRules(logProbs, beam.tokens, this.#settings);
      if (doSample) narrow(logProbs, this.#settings);
      for (let token = 0; token < vocabSize; token++) {
        const score = Math.fround(logProbs[token]! + beam.score);
        if (score === -Infinity) continue;
        const noise = doSample ? gumbelNoise(seed, this.#generated, row, token) : 0;
        best.offer(score + noise, row * vocabSize + token);
      }
    }
    return Array.from(best.indices.subarray(0, best.count), (index) => {
      const beam = Math.floor(index / vocabSize);
      const logProb = scores[index]!;
      const score = Math.fround(logProb + this.#running[beam]!.score);
      return { beam, token: index % vocabSize, logProb, score };
    });
  }

  #extend({ beam, token, logProb, score }: Candidate): Beam {
    const { tokens, logProbs } = this.#running[beam]!;
    return { tokens: [...tokens, token], logProbs: [...logProbs, logProb], score };
  }

  #end(candidate: Candidate): GeneratedSequence {
    const { tokens, logProbs, score } = this.#extend(candidate);
    return endedSequence(tokens, logProbs, score, this.#settings);
  }

  /** Rows without a beam repeat an earlier row; what the decoder makes of them is not looked at. */
  #continueWith(candidates: readonly Candidate[]): void {
    this.tokens.set(candidates.map(({ token }) => token));
    this.parents.set(candidates.map(({ beam }) => beam));
    this.#running = candidates.map((candidate) => this.#extend(candidate));
  }

  /** Whether a running beam may still end up among the `numBeams` best, by the reference's rule of thumb. */
  #canImprove(): boolean {
    const { numBeams, earlyStopping, lengthPenalty, maxNewTokens } = this.#settings;
    const best = this.#running[0];
    if (!best) return false;
    if (this.#ended.length < numBeams) return true;
    if (earlyStopping === true) return false;
    const length = earlyStopping === "never" && lengthPenalty > 0 ? maxNewTokens : this.#generated;
    return lengthPenalized(best.score, length, lengthPenalty) > this.#ended.at(-1)!.score;
  }
}

function byScore(a: { score: number }, b: { score: number }): number {
  return b.score - a.score;
}
