import { Highest } from "./highest.ts";
import type { GenerationSettings } from "./options.ts";

/**
 * Narrows a row of scores [vocab] to what sampling draws from, in place: temperature, top-k, top-p, in the
 * order and with the keep rules of `transformers.generation.logits_process`. What is dropped becomes -Infinity.
 */
export function narrow(scores: Float32Array, settings: GenerationSettings): void {
  // Beam search needs a second token, so that a beam can go on when its likeliest token is the end.
  const least = settings.numBeams > 1 ? 2 : 1;
  if (settings.temperature !== 1) applyTemperature(scores, settings.temperature);
  if (settings.topK > 0) keepTopK(scores, Math.max(settings.topK, least));
  if (settings.topP < 1) keepTopP(scores, settings.topP, least);
}

function applyTemperature(scores: Float32Array, temperature: number): void {
  const divisor = Math.fround(temperature);
  for (let token = 0; token < scores.length; token++) scores[token] = scores[token]! / divisor;
}

/** Keeps the k highest scores, and whatever equals the lowest of them. */
function keepTopK(scores: Float32Array, k: number): void {
  if (k >= scores.length) return;
  const highest = new Highest(k);
  for (let token = 0; token < scores.length; token++) highest.offer(scores[token]!, token);
  if (highest.count < k) return;
  const threshold = highest.keys[k - 1]!;
  for (let token = 0; token < scores.length; token++) {
    if (scores[token]! < threshold) scores[token] = -Infinity;
  }
}

/**
 * Drops the unlikeliest tokens whose probabilities add up to no more than 1 - p, but leaves `least`. Of
 * equally likely tokens the first go first.
 */
function keepTopP(scores: Float32Array, p: number, least: number): void {
  const ascending = scores.filter((score) => score > -Infinity).sort();
  const max = ascending.at(-1)!;
  const weights = ascending.map((score) => Math.exp(score - max));
  const sum = weights.reduce((total, weight) => total + weight, 0);

  const droppable = Math.fround(1 - p);
  let dropped = 0;
  let cumulative = 0;
  for (; dropped < ascending.length - least; dropped++) {
    cumulative += Math.fround(weights[dropped]! / sum);
    if (Math.fround(cumulative) > droppable) break;
  }

  const lowestKept = ascending[dropped]!;
  let equalsToDrop = dropped - ascending.indexOf(lowestKept);
  for (let token = 0; token < scores.length; token++) {
    if (scores[token]! < lowestKept || (scores[token] === lowestKept && equalsToDrop-- > 0)) {
      scores[token] = -Infinity;
    }
  }
}
