import { radii } from "../../../kernels/shared/locations.ts";
import type { CleanText, ScoredTokens, Span } from "./generated_text.ts";
import type { Scores } from "./rules.ts";
import type { Tag } from "./runs.ts";

/**
 * How far an edge may be off, as a share of the side: a box moved along one axis by a third of its side still has an
 * IoU of 0.5 with itself.
 */
const TOLERANCE = 1 / 3;
/**
 * The part of a label's log-probability that counts. A label's first token also says which thing is named next, and
 * that another one could have been is no doubt about this one. Chosen on half of the bundled checkpoint's held-out
 * images (`npm run bench:confidence`).
 */
export const LABEL_WEIGHT = 1 / 3;

/** The parts of a score: a place, and the label in front of it. */
export type Scored = {
  /** Location tags, x and y in turn. */
  readonly tags: readonly Tag[];
  /** Where the label stands, if there is one. */
  readonly label?: Span;
  /** The tags are points of an outline, of which some may be off. */
  readonly isOutline?: boolean;
};

/**
 * The score of a place, 0 to 1; undefined where the tokens' probabilities are not known.
 *
 * "confidence": the probability that it is right. Of each coordinate counts the probability of all bins that are no
 * farther from the chosen one than a third of the place's side. A place is as sure as the least sure of its
 * coordinates, which err together, and an outline as its mean point. The label counts by the cube root of its
 * probability. Where the probabilities of other bins are not known, it is Microsoft's score.
 *
 * "place": the same without the label.
 *
 * "microsoft": exp(mean log-probability) of the location tokens, each once, as Microsoft's code gives it.
 */
export function scoreOf(clean: CleanText, scored: Scored, kind: Scores): number | undefined {
  const { tokens, origins } = clean;
  if (tokens === undefined) return undefined;
  const { tags, label, isOutline = false } = scored;
  const { masses } = tokens;
  if (kind === "microsoft" || masses === undefined) return meanProbability(clean, tags);
  const [xs, ys] = [0, 1].map((axis) => tags.filter((_, i) => i % 2 === axis).map(({ bin }) => bin!));
  const tolerances = [sideOf(xs!), sideOf(ys!)].map((side) => TOLERANCE * side);
  const probabilities = tags.map((tag, i) => {
    const [token] = tokensOf(tokens, origins, tag);
    const own = masses[token!];
    return own ? massWithin(own, tolerances[i % 2]!) : Math.exp(tokens.logProbs[token!]!);
  });
  const sum = probabilities.reduce((total, value) => total + value, 0);
  const place = isOutline ? sum / probabilities.length : Math.min(...probabilities);
  if (kind === "place") return Math.min(1, place);
  const named = label && label.end > label.start ? tokensOf(tokens, origins, label) : [];
  const labelLogProb = named.reduce((total, token) => total + tokens.logProbs[token]!, 0);
  return Math.min(1, place * Math.exp(LABEL_WEIGHT * labelLogProb));
}

/** From the first bin to the last, both included. */
function sideOf(bins: readonly number[]): number {
  return Math.max(...bins) - Math.min(...bins) + 1;
}

/** The probability within a distance in bins, between those of the radii on either side. */
function massWithin(masses: readonly number[], distance: number): number {
  const above = radii.findIndex((radius) => radius >= distance);
  if (above <= 0) return masses[Math.max(above, 0)]!;
  const [from, to] = [radii[above - 1]!, radii[above]!];
  const share = (distance - from) / (to - from);
  return masses[above - 1]! + share * (masses[above]! - masses[above - 1]!);
}

function meanProbability({ tokens, origins }: CleanText, spans: readonly Span[]): number {
  const own = new Set(spans.flatMap((span) => tokensOf(tokens!, origins, span)));
  const sum = [...own].reduce((total, token) => total + tokens!.logProbs[token]!, 0);
  return Math.exp(sum / own.size);
}

/** The tokens that made a stretch of clean text, in their order. */
function tokensOf({ offsets }: ScoredTokens, origins: readonly number[], { start, end }: Span): number[] {
  const [from, to] = [origins[start]!, origins[end - 1]! + 1];
  const own: number[] = [];
  for (let i = firstAfter(offsets, from); i + 1 < offsets.length && offsets[i]! < to; i++) {
    if (offsets[i + 1]! > from) own.push(i);
  }
  return own;
}

/** The first token that ends behind a place; offsets rise. */
function firstAfter(offsets: readonly number[], place: number): number {
  let [low, high] = [0, offsets.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (offsets[middle + 1]! > place) high = middle;
    else low = middle + 1;
  }
  return low;
}
