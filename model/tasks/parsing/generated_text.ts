import { Florence2Error } from "../../../core/errors.ts";
import type { Tokenizer } from "../../../tokenizer/index.ts";

/** Decoded text with its special tokens, and the probability of each token. */
export type GeneratedText = { readonly text: string; readonly tokens?: ScoredTokens };

export type ScoredTokens = {
  /** n + 1 offsets into the text in UTF-16 units: token i is text.slice(offsets[i], offsets[i + 1]). */
  readonly offsets: readonly number[];
  /** Natural logarithm of each token's probability. */
  readonly logProbs: readonly number[];
  /** Of each token that is a location, the probability around it (kernels/shared/locations.ts), if it is known. */
  readonly masses?: readonly (readonly number[] | undefined)[];
};

/**
 * Decodes a generated sequence for `parseAnswer` such that the answer gets scores.
 *
 * @param tokens the whole sequence, the decoder's start token first
 * @param logProbs of each token but the first
 * @param masses of each token but the first, if the search has added them up
 * @throws `token_invalid`
 */
export function decodeGenerated(
  tokenizer: Pick<Tokenizer, "decodeWithOffsets">,
  tokens: ArrayLike<number>,
  logProbs: ArrayLike<number>,
  masses?: readonly (readonly number[] | undefined)[],
): GeneratedText {
  if (logProbs.length !== tokens.length - 1) {
    const message = `${logProbs.length} log-probabilities for ${tokens.length} tokens, expected one less`;
    throw new Florence2Error("token_invalid", message, { tokens: tokens.length, logProbs: logProbs.length });
  }
  const { text, offsets } = tokenizer.decodeWithOffsets(Array.from(tokens));
  const isKnown = masses?.some((own) => own !== undefined);
  return {
    text,
    tokens: {
      offsets,
      logProbs: [0, ...Array.from(logProbs)],
      ...(isKnown && { masses: [undefined, ...masses!] }),
    },
  };
}

/** Generated text after some tags were removed. */
export type CleanText = {
  readonly text: string;
  /** Offset in the generated text of every remaining UTF-16 unit. */
  readonly origins: readonly number[];
  readonly tokens?: ScoredTokens;
};

/**
 * Removes all occurrences of one tag after another, as the processors do before they parse.
 *
 *     removeTags({ text: "<s>cat</s>" }, ["<s>", "</s>"])  // { text: "cat", origins: [3, 4, 5] }
 */
export function removeTags({ text, tokens }: GeneratedText, tags: readonly string[]): CleanText {
  let left = text;
  let origins = Array.from({ length: text.length }, (_, i) => i);
  for (const tag of tags) {
    const kept: number[] = [];
    let start = 0;
    for (const piece of left.split(tag)) {
      for (let i = start; i < start + piece.length; i++) kept.push(origins[i]!);
      start += piece.length + tag.length;
    }
    left = left.split(tag).join("");
    origins = kept;
  }
  return { text: left, origins, tokens };
}

/** A stretch of clean text, in UTF-16 units. */
export type Span = { readonly start: number; readonly end: number };
