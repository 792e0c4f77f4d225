/** A question about a thing that is there, or is not, with the confidence of the best answer to it. */
export interface Presence {
  readonly confidence: number;
  readonly isPresent: boolean;
}

export interface PresenceFigures {
  /** Probability that a present thing has a higher confidence than an absent one; ties count half. */
  readonly auroc: number;
  /** The least confidence that counts as present so that the mean of both classes' accuracies is best. */
  readonly threshold: number;
  /** The mean of both classes' accuracies at that threshold. */
  readonly accuracy: number;
}

/**
 * How well confidences tell things that are there from things that are not: the area under the ROC curve by ranks
 * (Mann and Whitney, 1947), and the best threshold. NaN unless there are both.
 *
 * @example presence([{ confidence: 0.9, isPresent: true }, { confidence: 0.2, isPresent: false }])
 *   // { auroc: 1, threshold: 0.9, accuracy: 1 }
 */
export function presence(questions: readonly Presence[]): PresenceFigures {
  const ranked = [...questions].sort((a, b) => b.confidence - a.confidence);
  const present = ranked.filter(({ isPresent }) => isPresent).length;
  const absent = ranked.length - present;
  if (present === 0 || absent === 0) return { auroc: NaN, threshold: NaN, accuracy: NaN };
  let [hits, alarms, area] = [0, 0, 0];
  let best = { threshold: Number.POSITIVE_INFINITY, accuracy: 0.5 };
  for (let from = 0; from < ranked.length; ) {
    const { confidence } = ranked[from]!;
    const equal = ranked.slice(from).findIndex((other) => other.confidence !== confidence);
    const tied = ranked.slice(from, equal < 0 ? undefined : from + equal);
    const found = tied.filter(({ isPresent }) => isPresent).length;
    area += (tied.length - found) * (hits + found / 2);
    hits += found;
    alarms += tied.length - found;
    const accuracy = (hits / present + 1 - alarms / absent) / 2;
    if (accuracy > best.accuracy) best = { threshold: confidence, accuracy };
    from += tied.length;
  }
  return { auroc: area / (present * absent), ...best };
}
