import { Florence2Error } from "../../core/errors.ts";
import type { GenerationSettings } from "./options.ts";

/**
 * What is done to a row of scores [vocab] before a token is chosen, in place and in the order of
 * `transformers.GenerationMixin._get_logits_processor`. Scores are logits for greedy search and sampling,
 * log-probabilities for beam search. Arithmetic is that of float32, so that equal scores stay equal.
 */

/** @throws Florence2Error `non_finite` if a logit of the row is NaN or infinite. */
export function checkFinite(logits: Float32Array, step: number, picture: number): void {
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token]!;
    if (logit - logit === 0) continue;
    throw new Florence2Error(
      "non_finite",
      `step ${step}, picture ${picture}: the logit of token ${token} is ${logit}; the weights or the arithmetic that led to it are broken`,
      { step, picture, token, logit },
    );
  }
}

/** The parts of log(sum(exp(scores))) of a row; -Infinity entries count nothing, and at least one is finite. */
export function logSumExp(scores: Float32Array): { max: number; logSum: number } {
  let max = -Infinity;
  for (let token = 0; token < scores.length; token++) if (scores[token]! > max) max = scores[token]!;
  let sum = 0;
  for (let token = 0; token < scores.length; token++) sum += expOfNegative(scores[token]! - max);
  return { max, logSum: Math.fround(Math.log(sum)) };
}

const STEPS_PER_UNIT = 64;
/** exp(-104) is below the smallest float32. */
const LOWEST = -104;
const EXP_OF_STEPS = Float64Array.from({ length: 1 - LOWEST * STEPS_PER_UNIT }, (_, i) =>
  Math.exp(-i / STEPS_PER_UNIT),
);

/**
 * exp(x) for x <= 0, to 2e-10 of its value: the nearest step from a table times three terms of the series.
 * With beam search a whole vocabulary per beam and step goes through here, and Math.exp takes three times
 * as long.
 */
export function expOfNegative(x: number): number {
  if (x < LOWEST) return 0;
  const step = (0.5 - x * STEPS_PER_UNIT) | 0;
  const rest = x + step * (1 / STEPS_PER_UNIT);
  return EXP_OF_STEPS[step]! * (1 + rest * (1 + rest * (1 / 2 + rest * (1 / 6))));
}

/** Turns logits into log-probabilities, in place. */
export function logSoftmax(scores: Float32Array): void {
  const { max, logSum } = logSumExp(scores);
  for (let token = 0; token < scores.length; token++) {
    scores[token] = Math.fround(scores[token]! - max) - logSum;
  }
}

/**
 * Applies the rules that hold for every way of decoding: repetition penalty, no repeated n-grams, minimum
 * length, forced first and last token.
 *
 * @param tokens the answer so far, start token included
 */
export function applyRules(
  scores: Float32Array,
  tokens: readonly number[],
  settings: GenerationSettings,
): void {
  const { eosTokenId } = settings.model;
  const generated = tokens.length - 1;
  if (settings.repetitionPenalty !== 1) penalizeRepetition(scores, tokens, settings.repetitionPenalty);
  if (settings.noRepeatNgramSize > 0) banRepeatedNgrams(scores, tokens, settings.noRepeatNgramSize);
  if (generated < settings.minNewTokens) scores[eosTokenId] = -Infinity;
  if (generated === 0 && settings.forcedBosTokenId !== null) force(scores, settings.forcedBosTokenId);
  if (generated === settings.maxNewTokens - 1 && settings.forcedEosTokenId !== null) {
    force(scores, settings.forcedEosTokenId);
  }
}

function penalizeRepetition(scores: Float32Array, tokens: readonly number[], penalty: number): void {
  const factor = Math.fround(penalty);
  for (const token of new Set(tokens)) {
    const score = scores[token]!;
    scores[token] = score < 0 ? score * factor : score / factor;
  }
}

/** Bans each token that would complete a run of `size` tokens that `tokens` already contains. */
function banRepeatedNgrams(scores: Float32Array, tokens: readonly number[], size: number): void {
  const suffix = tokens.length - (size - 1);
  // One look at each earlier position: far cheaper than the row of scores, and nothing to copy when beams fork.
  for (let start = 0; start + size <= tokens.length; start++) {
    let matched = 0;
    while (matched < size - 1 && tokens[start + matched] === tokens[suffix + matched]) matched++;
    if (matched === size - 1) scores[tokens[start + size - 1]!] = -Infinity;
  }
}

function force(scores: Float32Array, token: number): void {
  scores.fill(-Infinity);
  scores[token] = 0;
}

/** What to throw when the rules have banned every token. */
export function noTokenLeft(step: number): Florence2Error {
  return new Florence2Error(
    "option_invalid",
    `step ${step}: noRepeatNgramSize and minNewTokens together ban every token; lower one of them`,
    { step },
  );
}
