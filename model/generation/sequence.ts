import type { GenerationSettings } from "./options.ts";
import type { GeneratedSequence } from "./search.ts";

/** An answer that ended, whose log-probabilities add up to `sum`. */
export function endedSequence(
  tokens: readonly number[],
  logProbs: readonly number[],
  sum: number,
  settings: GenerationSettings,
): GeneratedSequence {
  const generated = tokens.length - 1;
  const chosenEnd = tokens.at(-1) === settings.model.eosTokenId;
  const cut = generated === settings.maxNewTokens && (settings.forcedEosTokenId !== null || !chosenEnd);
  return {
    tokens,
    score: lengthPenalized(sum, generated, settings.lengthPenalty),
    logProbs,
    finishReason: cut ? "length" : "stop",
  };
}

/** A sum of log-probabilities made comparable between lengths, in float32. */
export function lengthPenalized(sum: number, generated: number, lengthPenalty: number): number {
  return Math.fround(sum / Math.fround(generated ** lengthPenalty));
}
