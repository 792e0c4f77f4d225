import { mean } from "./mean.ts";
import { type CaptionCase, countNgrams, MAX_ORDER } from "./ngrams.ts";

/** Spread of the Gaussian that punishes a difference in length. */
const SIGMA = 6;

interface WeightedNgrams {
  /** tf-idf of each n-gram, for n = 1 to 4. */
  readonly weights: readonly ReadonlyMap<string, number>[];
  readonly norms: readonly number[];
  /** The number of bigrams, which is what the reference implementation compares as length. */
  readonly length: number;
}

/**
 * CIDEr-D (Vedantam et al., 2015), as pycocoevalcap/cider/cider_scorer.py computes it: 0 to 10, of which
 * papers print a hundredfold with the factor 10 left out (133.0 is 1.33 here). How rare an n-gram is counts
 * over the images given, so the score belongs to a whole data set; of a single image it is 0.
 *
 * @returns the mean, and the score of each case
 */
export function ciderD(cases: readonly CaptionCase[]): { score: number; perCase: number[] } {
  const references = cases.map((item) => item.references.map(countNgrams));
  const frequencies = documentFrequencies(references);
  const logOfCases = Math.log(cases.length);

  const weigh = (counts: readonly ReadonlyMap<string, number>[]): WeightedNgrams => {
    const weights = counts.map((own) => {
      const weighted = new Map<string, number>();
      for (const [ngram, count] of own) {
        weighted.set(ngram, count * (logOfCases - Math.log(Math.max(1, frequencies.get(ngram) ?? 0))));
      }
      return weighted;
    });
    const norms = weights.map((own) => {
      let sum = 0;
      for (const weight of own.values()) sum += weight ** 2;
      return Math.sqrt(sum);
    });
    let length = 0;
    for (const count of counts[1]!.values()) length += count;
    return { weights, norms, length };
  };

  const perCase = cases.map(({ hypothesis }, i) => {
    const own = weigh(countNgrams(hypothesis));
    const byOrder = new Array<number>(MAX_ORDER).fill(0);
    for (const reference of references[i]!) {
      const similarities = similarity(own, weigh(reference));
      for (const [n, value] of similarities.entries()) byOrder[n]! += value;
    }
    return (10 * mean(byOrder)) / references[i]!.length;
  });
  return { score: mean(perCase), perCase };
}

/** In the references of how many images an n-gram occurs. */
function documentFrequencies(
  references: readonly (readonly (readonly ReadonlyMap<string, number>[])[])[],
): Map<string, number> {
  const frequencies = new Map<string, number>();
  for (const captions of references) {
    const ngrams = new Set(captions.flatMap((counts) => counts.flatMap((own) => [...own.keys()])));
    for (const ngram of ngrams) frequencies.set(ngram, (frequencies.get(ngram) ?? 0) + 1);
  }
  return frequencies;
}

/** Cosine of the clipped weights for n = 1 to 4. */
function similarity(hypothesis: WeightedNgrams, reference: WeightedNgrams): number[] {
  const penalty = Math.exp(-((hypothesis.length - reference.length) ** 2) / (2 * SIGMA ** 2));
  return hypothesis.weights.map((weights, n) => {
    let product = 0;
    for (const [ngram, weight] of weights) {
      const other = reference.weights[n]!.get(ngram) ?? 0;
      product += Math.min(weight, other) * other;
    }
    const norm = hypothesis.norms[n]! * reference.norms[n]!;
    return (norm === 0 ? product : product / norm) * penalty;
  });
}
