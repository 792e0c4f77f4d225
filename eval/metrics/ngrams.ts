/** Words beyond four in a row count in neither score of captions. */
export const MAX_ORDER = 4;

/** An answer and what people wrote about the same image, as tokens (see `captionTokens`). */
export interface CaptionCase {
  readonly hypothesis: readonly string[];
  readonly references: readonly (readonly string[])[];
}

/** How often each run of n words occurs, for n = 1 to 4: `counts[n - 1]`. */
export function countNgrams(words: readonly string[]): Map<string, number>[] {
  return Array.from({ length: MAX_ORDER }, (_, i) => {
    const counts = new Map<string, number>();
    for (let start = 0; start + i < words.length; start++) {
      const ngram = words.slice(start, start + i + 1).join(" ");
      counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
    }
    return counts;
  });
}
