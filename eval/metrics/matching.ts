/**
 * The largest set of pairs in which every member of either side occurs at most once (augmenting paths), so
 * that no figure depends on the order of boxes.
 *
 * @param fits whether member i of the one side may be paired with member j of the other
 */
export function matchPairs(
  found: number,
  wanted: number,
  fits: (i: number, j: number) => boolean,
): [i: number, j: number][] {
  const partner = new Map<number, number>();
  const place = (i: number, tried: Set<number>): boolean => {
    for (let j = 0; j < wanted; j++) {
      if (tried.has(j) || !fits(i, j)) continue;
      tried.add(j);
      const holder = partner.get(j);
      if (holder !== undefined && !place(holder, tried)) continue;
      partner.set(j, i);
      return true;
    }
    return false;
  };
  for (let i = 0; i < found; i++) place(i, new Set());
  return [...partner].map(([j, i]) => [i, j]);
}

/** Sums over a data set from which precision, recall and F1 follow. */
export interface PairCounts {
  readonly pairs: number;
  readonly found: number;
  readonly wanted: number;
}

/** NaN where there is nothing to divide by. */
export function precisionRecall(counts: readonly PairCounts[]): {
  precision: number;
  recall: number;
  f1: number;
} {
  let [pairs, found, wanted] = [0, 0, 0];
  for (const own of counts) {
    pairs += own.pairs;
    found += own.found;
    wanted += own.wanted;
  }
  return { precision: pairs / found, recall: pairs / wanted, f1: (2 * pairs) / (found + wanted) };
}
