import type { Twin, Values } from "../../core/kernel.ts";
import { logNormalizer } from "../shared/log_normalizer.ts";
import { CANDIDATE, readTraceRow } from "../shared/search_trace.ts";
import { LOWEST, SLICE } from "../shared/vocabulary.ts";
import { gumbelNoise } from "./gumbel.ts";
import type { signature } from "./rank_tokens.ts";

/** Stands for no token. */
const NONE = 0xffffffff;

type Params = Values<typeof signature.params>;

export const rankTokensTwin: Twin<typeof signature> = (
  { scores, sums, trace, ancestry, position, end_tokens, forced_last, candidates },
  params,
) => {
  const { rows, columns, width, rows_per_image, capacity, best, normalize, start_token, noise } = params;
  const ends = end_tokens.subarray(0, params.end_count);
  const forcedLast = forced_last.subarray(0, params.forced_count);
  const generated = position[0]!;
  const slices = Math.ceil(columns / SLICE);
  const seed = params.seed_high * 2 ** 32 + params.seed_low;
  const asFloats = new Float32Array(candidates.buffer, candidates.byteOffset, candidates.length);
  for (let r = 0; r < rows; r++) {
    const answer = [start_token];
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
    applyRules(own, answer, params, ends, forcedLast);

    const first = r % width === 0 ? 0 : LOWEST;
    const sum = generated === 0 ? first : readTraceRow(trace, (generated - 1) * rows + r).score;
    const keys = new Float32Array(columns).fill(LOWEST);
    for (let v = 0; v < columns; v++) {
      if (!(own[v]! > LOWEST) || sum === LOWEST) continue;
      keys[v] = own[v]! + (width > 1 ? sum : 0);
      if (noise) keys[v]! += gumbelNoise(seed, generated, r % rows_per_image, v);
    }
    for (let s = 0; s < slices; s++) {
      const tokens = Array.from({ length: Math.min(SLICE, columns - s * SLICE) }, (_, i) => s * SLICE + i);
      const ranked = tokens.filter((v) => keys[v]! > LOWEST).sort((a, b) => keys[b]! - keys[a]! || a - b);
      for (let i = 0; i < best; i++) {
        const at = ((r * slices + s) * best + i) * CANDIDATE;
        const token = ranked[i] ?? 0;
        candidates[at + 1] = token;
        asFloats[at] = i < ranked.length ? keys[token]! : LOWEST;
        asFloats[at + 2] = i < ranked.length ? own[token]! : LOWEST;
        candidates[at + 3] = i < ranked.length && ends.includes(token) ? 1 : 0;
      }
    }
  }
};

/**
 * What is done to a row of scores [vocab] before a token is chosen, in place and in the order of
 * `transformers.GenerationMixin._get_logits_processor`. What is not finite stays, for others to find.
 *
 * @param answer the tokens so far, start token included
 */
function applyRules(
  scores: Float32Array,
  answer: readonly number[],
  params: Params,
  ends: Uint32Array,
  forcedLast: Uint32Array,
): void {
  const { ngram, penalty, minimum, maximum, forced_first } = params;
  const generated = answer.length - 1;
  if (penalty !== 1) penalizeRepetition(scores, answer, Math.fround(penalty));
  if (ngram > 0) banRepeatedNgrams(scores, answer, ngram);
  if (generated < minimum) for (const end of ends) ban(scores, end);
  if (generated === 0 && forced_first !== NONE) force(scores, Uint32Array.of(forced_first));
  if (generated === maximum - 1 && forcedLast.length > 0) force(scores, forcedLast);
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

function force(scores: Float32Array, forced: Uint32Array): void {
  for (let token = 0; token < scores.length; token++) ban(scores, token);
  for (const token of forced) if (Number.isFinite(scores[token])) scores[token] = 0;
}

function ban(scores: Float32Array, token: number): void {
  if (Number.isFinite(scores[token])) scores[token] = LOWEST;
}
