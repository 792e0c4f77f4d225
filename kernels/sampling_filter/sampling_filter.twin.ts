import type { Twin } from "../../core/kernel.ts";
import { LOWEST } from "../shared/vocabulary.ts";
import type { signature } from "./sampling_filter.ts";

export const samplingFilterTwin: Twin<typeof signature> = (
  { scores },
  { rows, columns, temperature, top_k, droppable, min_kept },
) => {
  const divisor = Math.fround(temperature);
  for (let r = 0; r < rows; r++) {
    const own = scores.subarray(r * columns, (r + 1) * columns);
    for (let v = 0; v < columns; v++) if (own[v]! > LOWEST) own[v] = own[v]! / divisor;
    if (top_k > 0) keepTopK(own, top_k);
    if (droppable > 0) keepTopP(own, Math.fround(droppable), min_kept);
  }
};

/** Keeps the k highest scores, and all that equal the lowest of them. */
function keepTopK(scores: Float32Array, k: number): void {
  const threshold = scores.slice().sort().at(-k) ?? LOWEST;
  for (let v = 0; v < scores.length; v++) if (scores[v]! < threshold) scores[v] = LOWEST;
}

/**
 * Drops the unlikeliest tokens whose probabilities add up to no more than `droppable`, but leaves `min_kept`.
 * Of equally likely tokens the first go first.
 */
function keepTopP(scores: Float32Array, droppable: number, min_kept: number): void {
  const ascending = scores.filter((score) => score > LOWEST).sort();
  const weights = ascending.map((score) => Math.exp(score - ascending.at(-1)!));
  const sum = weights.reduce((total, weight) => total + weight, 0);

  let dropped = 0;
  let cumulative = 0;
  for (; dropped < ascending.length - min_kept; dropped++) {
    cumulative += Math.fround(weights[dropped]! / sum);
    if (Math.fround(cumulative) > droppable) break;
  }

  const lowestKept = ascending[dropped]!;
  let equalsToDrop = dropped - ascending.indexOf(lowestKept);
  for (let v = 0; v < scores.length; v++) {
    if (scores[v]! < lowestKept || (scores[v] === lowestKept && equalsToDrop-- > 0)) scores[v] = LOWEST;
  }
}
