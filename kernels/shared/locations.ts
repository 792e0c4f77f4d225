/** Location tokens, which follow each other in the vocabulary. */
export const LOCATIONS = 1000;
/** Distances in bins within which probabilities are added up: 0, 1, 2, 4, ... 1024. */
export const RADII = 12;

/** The smallest of the distances that is no less: `radiusOf(5)` → 4, since the fourth after 0 is 8. */
export function radiusOf(distance: number): number {
  return distance === 0 ? 0 : 33 - Math.clz32(distance - 1);
}

/** The distance in bins of each radius. */
export const radii: readonly number[] = Array.from({ length: RADII }, (_, i) => (i === 0 ? 0 : 2 ** (i - 1)));
