import { logNormalizer } from "../shared/log_normalizer.ts";
import { readTraceRow } from "../shared/search_trace.ts";
import { LOWEST, SLICE } from "../shared/vocabulary.ts";
import { gumbelNoise } from "./gumbel.ts";

interface Arrays {
  readonly scores: Float32Array;
  readonly sums: Float32Array;
  readonly trace: Uint32Array;
  readonly ancestry: Uint32Array;
  readonly position: Uint32Array;
  readonly candidates: Uint32Array;
}

interface Params {
  readonly rows: number;
  readonly columns: number;
  readonly width: number;
  readonly rowsPerPicture: number;
  readonly capacity: number;
  readonly best: number;
  readonly normalize: number;
  readonly startToken: number;
  readonly endToken: number;
  readonly ngram: number;
  readonly penalty: number;
  readonly minimum: number;
  readonly maximum: number;
  readonly forcedFirst: number;
  readonly forcedLast: number;
  readonly noise: number;
  readonly seedLow: number;
  readonly seedHigh: number;
}

/** Stands for no token. */
const NONE = 0xffffffff;

export function rankTokensTwin(
  { scores, sums, trace, ancestry, position, candidates }: Arrays,
  params: Params,
): void {
  const { rows, columns, width, rowsPerPicture, capacity, best, normalize, startToken, noise } = params;
  const generated = position[0]!;
  const slices = Math.ceil(columns / SLICE);
  const seed = params.seedHigh * 2 ** 32 + params.seedLow;
  const asFloats = new Float32Array(candidates.buffer, candidates.byteOffset, candidates.length);
  for (let r = 0; r < rows; r++) {
    const answer = [startToken];
    for (let place = 1; place <= generated; place++) {
      answer.push(readTraceRow(trace, (place - 1) * rows + ancestry[r * capacity + place]!).token);
    }
    const own = scores.subarray(r * columns, (r + 1) * columns);
    if (normalize) {
      const { largest, logSum } = logNormalizer(sums, r, slices);
      for (let v = 0; v < columns; v++) {
        if (own[v] !== LOWEST) own[v] = Math.fround(own[v]! - largest) - logSum;
      }
    }
    applyRules(own, answer, params);

    const first = r % width === 0 ? 0 : LOWEST;
    const sum = generated === 0 ? first : readTraceRow(trace, (generated - 1) * rows + r).score;
    const keys = new Float32Array(columns).fill(LOWEST);
    for (let v = 0; v < columns; v++) {
      if (!(own[v]! > LOWEST) || sum === LOWEST) continue;
      keys[v] = own[v]! + (width > 1 ? sum : 0);
      if (noise) keys[v]! += gumbelNoise(seed, generated, r % rowsPerPicture, v);
    }
    for (let s = 0; s < slices; s++) {
      const tokens = Array.from({ length: Math.min(SLICE, columns - s * SLICE) }, (_, i) => s * SLICE + i);
      const ranked = tokens.filter((v) => keys[v]! > LOWEST).sort((a, b) => keys[b]! - keys[a]! || a - b);
      for (let i = 0; i < best; i++) {
        const at = ((r * slices + s) * best + i) * 3;
        const token = ranked[i] ?? 0;
        candidates[at + 1] = token;
        asFloats[at] = i < ranked.length ? keys[token]! : LOWEST;
        asFloats[at + 2] = i < ranked.length ? own[token]! : LOWEST;
      }
    }
  }
}

/**
 * What is done to a row of scores [vocab] before a token is chosen, in place and in the order of
 * `transformers.GenerationMixin._get_logits_processor`. What is not finite stays, for others to find.
 *
 * @param answer the tokens so far, start token included
 */
function applyRules(scores: Float32Array, answer: readonly number[], params: Params): void {
  const { endToken, ngram, penalty, minimum, maximum, forcedFirst, forcedLast } = params;
  const generated = answer.length - 1;
  if (penalty !== 1) penalizeRepetition(scores, answer, Math.fround(penalty));
  if (ngram > 0) banRepeatedNgrams(scores, answer, ngram);
  if (generated < minimum) ban(scores, endToken);
  if (generated === 0 && forcedFirst !== NONE) force(scores, forcedFirst);
  if (generated === maximum - 1 && forcedLast !== NONE) force(scores, forcedLast);
}

function penalizeRepetition(scores: Float32Array, answer: readonly number[], penalty: number): void {
  for (const token of new Set(answer)) {
    const score = scores[token]!;
    if (score !== LOWEST) scores[token] = score < 0 ? score * penalty : score / penalty;
  }
}

/** Bans each token that would complete a run of `size` tokens that the answer already contains. */
function banRepeatedNgrams(scores: Float32Array, answer: readonly number[], size: number): void {
  const suffix = answer.length - (size - 1);
  for (let start = 0; start + size <= answer.length; start++) {
    let matched = 0;
    while (matched < size - 1 && answer[start + matched] === answer[suffix + matched]) matched++;
    if (matched === size - 1) ban(scores, answer[start + size - 1]!);
  }
}

function force(scores: Float32Array, forced: number): void {
  for (let token = 0; token < scores.length; token++) ban(scores, token);
  if (Number.isFinite(scores[forced])) scores[forced] = 0;
}

function ban(scores: Float32Array, token: number): void {
  if (Number.isFinite(scores[token])) scores[token] = LOWEST;
}
