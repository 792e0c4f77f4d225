/**
 * Weights as whole numbers for products of 8 bits, in groups of 64 neighbours of a row: w = scale * (q - zero), with
 * whole q from -128 to 127. The ends of the grid are the least and the largest of the group, and 0 is on it. A group is
 * 18 words: the scale as f32; with their signs turned, the sum of the q in the lower half of a word, the zero point in
 * the upper one; and then the q, the first in the lowest bits. Activations are quantised beside them as they come:
 * `quantizeRow`.
 */

import { Florence2Error, quote } from "../errors.ts";

/** Weights of a group. */
export const GROUP = 64;
/** Words of four bytes that a group takes: the scale, the sum with the zero point, the q. */
export const WORDS_OF_GROUP = 2 + GROUP / 4;

/** Steps of a group's grid. */
const STEPS = 255;
/** The least q of a weight; that of an activation is 0. */
const LEAST = -128;
/** A span below this is none: its reciprocal would overflow. */
const LEAST_SPAN = 1e-30;

/**
 * The groups of some weights, a multiple of 64.
 *
 * @param name the tensor's, for the error
 * @throws {Florence2Error} `option_invalid` for weights that are NaN or infinite
 */
export function quantizeGroups(values: Float32Array, name: string): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array((values.length / GROUP) * WORDS_OF_GROUP);
  const scales = new Float32Array(words.buffer);
  const halves = new Int16Array(words.buffer);
  const bytes = new Int8Array(words.buffer);
  for (let first = 0, at = 0; first < values.length; first += GROUP, at += WORDS_OF_GROUP) {
    let low = 0;
    let high = 0;
    // NaN stays.
    for (let i = first; i < first + GROUP; i++) {
      low = Math.min(low, values[i]!);
      high = Math.max(high, values[i]!);
    }
    const span = high - low;
    if (!Number.isFinite(span)) throw notFinite(values.subarray(first, first + GROUP), name);
    const perUnit = span < LEAST_SPAN ? 0 : STEPS / span;
    const zero = Math.floor(-low * perUnit + 0.5) + LEAST;
    let sum = 0;
    const to = 4 * (at + 2);
    for (let i = 0; i < GROUP; i++) {
      // Math.round takes twice as long.
      const q = Math.min(Math.floor(values[first + i]! * perUnit + 0.5) + zero, LEAST + STEPS);
      bytes[to + i] = q;
      sum += q;
    }
    scales[at] = span / STEPS;
    halves[2 * at + 2] = -sum;
    halves[2 * at + 3] = -zero;
  }
  return words;
}

/** The weights of whole groups. */
export function dequantizeGroups(words: Uint32Array, out: Float32Array): void {
  for (let first = 0, group = 0; first < out.length; first += GROUP, group++) {
    const { scale, zero, q } = groupOf(words, group);
    for (let i = 0; i < GROUP; i++) out[first + i] = scale * (q[i]! - zero);
  }
}

/** A group of weights or of activations: scale * (q - zero). */
export interface Group {
  readonly scale: number;
  readonly zero: number;
  readonly q: Int8Array | Uint8Array;
}

/** The group of weights at a place. */
export function groupOf(
  { buffer, byteOffset }: Uint32Array,
  group: number,
): Group & { readonly sum: number } {
  const at = byteOffset + 4 * WORDS_OF_GROUP * group;
  const view = new DataView(buffer, at, 8);
  return {
    scale: view.getFloat32(0, true),
    sum: -view.getInt16(4, true),
    zero: -view.getInt16(6, true),
    q: new Int8Array(buffer, at + 8, GROUP),
  };
}

/**
 * The groups of a row of activations: x = scale * (q - zero), with whole q from 0 to 255. The ends of the grid are the
 * least and the largest of the group, and 0 is on it. Every step is rounded to f32, as compiled kernels do it.
 */
export function quantizeRow(row: Float32Array): Group[] {
  return Array.from({ length: row.length / GROUP }, (_, group) => {
    const values = row.subarray(group * GROUP, (group + 1) * GROUP);
    // NaN stays.
    const low = values.reduce((least, value) => Math.min(least, value), 0);
    const high = values.reduce((most, value) => Math.max(most, value), 0);
    const span = Math.fround(high - low);
    const perUnit = span < LEAST_SPAN ? 0 : Math.fround(STEPS / span);
    const zero = nearest(Math.fround(-low * perUnit));
    const q = Uint8Array.from(values, (value) =>
      Math.min(Math.max(nearest(Math.fround(value * perUnit)) + zero, 0), STEPS),
    );
    return { scale: Math.fround(span / STEPS), zero, q };
  });
}

/** The nearest whole number, of two the even one; for f32 below 2^22. */
function nearest(value: number): number {
  const ROUNDER = 1.5 * 2 ** 23;
  return Math.fround(Math.fround(value + ROUNDER) - ROUNDER);
}

function notFinite(group: Float32Array, name: string): Florence2Error {
  const found = group.find((value) => !Number.isFinite(value))!;
  return new Florence2Error(
    "option_invalid",
    `${quote(name)} holds ${found}, which has no place in 8 bits. Load this model with dtype "f32".`,
    { name, found },
  );
}
