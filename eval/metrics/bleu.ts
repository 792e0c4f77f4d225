import { type CaptionCase, countNgrams, MAX_ORDER } from "./ngrams.ts";

/** The constants of pycocoevalcap against division by zero. */
const [TINY, SMALL] = [1e-15, 1e-9];

interface Counts {
  readonly length: number;
  /** Of the reference whose length is closest, the shorter one of two as close. */
  readonly referenceLength: number;
  /** N-grams of the answer that a reference has as often, for n = 1 to 4. */
  readonly matches: readonly number[];
}

/**
 * BLEU-1 to BLEU-4 (Papineni et al., 2002), 0 to 1, as pycocoevalcap/bleu/bleu_scorer.py computes them with
 * its option "closest".
 *
 * @returns `scores[n - 1]` over all cases together, and the four scores of each case alone
 */
export function bleu(cases: readonly CaptionCase[]): { scores: number[]; perCase: number[][] } {
  const counts = cases.map(countMatches);
  return { scores: scoresOf(counts), perCase: counts.map((own) => scoresOf([own])) };
}

function scoresOf(counts: readonly Counts[]): number[] {
  const total = (amount: (own: Counts) => number) => counts.reduce((sum, own) => sum + amount(own), 0);
  const ratio = (total(({ length }) => length) + TINY) / (total((own) => own.referenceLength) + SMALL);
  const brevityPenalty = ratio < 1 ? Math.exp(1 - 1 / ratio) : 1;
  let product = 1;
  return Array.from({ length: MAX_ORDER }, (_, i) => {
    const guesses = total(({ length }) => Math.max(0, length - i));
    product *= (total(({ matches }) => matches[i]!) + TINY) / (guesses + SMALL);
    return product ** (1 / (i + 1)) * brevityPenalty;
  });
}

function countMatches({ hypothesis, references }: CaptionCase): Counts {
  const { length } = hypothesis;
  const lengths = references.map((words) => words.length);
  const [referenceLength] = lengths.sort((a, b) => Math.abs(a - length) - Math.abs(b - length) || a - b);
  const counted = references.map(countNgrams);
  const matches = countNgrams(hypothesis).map((own, i) => {
    let sum = 0;
    for (const [ngram, count] of own) {
      sum += Math.min(count, Math.max(...counted.map((counts) => counts[i]!.get(ngram) ?? 0)));
    }
    return sum;
  });
  return { length, referenceLength: referenceLength ?? 0, matches };
}
