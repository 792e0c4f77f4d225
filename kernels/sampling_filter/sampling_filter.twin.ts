import { LOWEST } from "../shared/vocabulary.ts";

interface Params {
  readonly rows: number;
  readonly columns: number;
  readonly temperature: number;
  readonly topK: number;
  readonly droppable: number;
  readonly least: number;
}

export function samplingFilterTwin(
  { scores }: { readonly scores: Float32Array },
  { rows, columns, temperature, topK, droppable, least }: Params,
): void {
  const divisor = Math.fround(temperature);
  for (let r = 0; r < rows; r++) {
    const own = scores.subarray(r * columns, (r + 1) * columns);
    for (let v = 0; v < columns; v++) if (own[v]! > LOWEST) own[v] = own[v]! / divisor;
    if (topK > 0) keepTopK(own, topK);
    if (droppable > 0) keepTopP(own, Math.fround(droppable), least);
  }
}

/** Keeps the k highest scores, and whatever equals the lowest of them. */
function keepTopK(scores: Float32Array, k: number): void {
  const threshold = scores.slice().sort().at(-k) ?? LOWEST;
  for (let v = 0; v < scores.length; v++) if (scores[v]! < threshold) scores[v] = LOWEST;
}

/**
 * Drops the unlikeliest tokens whose probabilities add up to no more than `droppable`, but leaves `least`.
 * Of equally likely tokens the first go first.
 */
function keepTopP(scores: Float32Array, droppable: number, least: number): void {
  const ascending = scores.filter((score) => score > LOWEST).sort();
  const weights = ascending.map((score) => Math.exp(score - ascending.at(-1)!));
  const sum = weights.reduce((total, weight) => total + weight, 0);

  let dropped = 0;
  let cumulative = 0;
  for (; dropped < ascending.length - least; dropped++) {
    cumulative += Math.fround(weights[dropped]! / sum);
    if (Math.fround(cumulative) > droppable) break;
  }

  const lowestKept = ascending[dropped]!;
  let equalsToDrop = dropped - ascending.indexOf(lowestKept);
  for (let v = 0; v < scores.length; v++) {
    if (scores[v]! < lowestKept || (scores[v] === lowestKept && equalsToDrop-- > 0)) scores[v] = LOWEST;
  }
}
