/**
 * Weights in 8 or 4 bits, in blocks of 32 neighbours: w = min + span * q / 2^bits, with whole q below 2^bits. A block
 * is a word with min and span as float16, the span in its upper half, and then the q, the first in the lowest bits:
 * 36 or 20 bytes for 128 of float32. The span, and not the step between neighbouring q, is what is stored: steps may
 * be so small that devices take them for zero.
 */

import { Florence2Error, quote } from "../errors.ts";
import { narrowToFloat16, widenFloat16 } from "./float16.ts";

/** Dtypes of blocks, and how many bits a weight has in each. */
export const BITS = { q8: 8, q4: 4 } as const;
export type BlockDtype = keyof typeof BITS;

/** Weights of a block. */
export const BLOCK = 32;

/** Of 8 bits, the first guess is good enough; with 4, every bit of the fit counts. */
const FITS: Readonly<Record<BlockDtype, number>> = { q8: 0, q4: 7 };

export function isBlockDtype(dtype: string): dtype is BlockDtype {
  return Object.hasOwn(BITS, dtype);
}

/** Words of four bytes that a block takes. */
export function wordsOfBlock(dtype: BlockDtype): number {
  return 1 + BITS[dtype];
}

/**
 * The blocks of some weights, a multiple of 32. In 4 bits, min and span are nearly those of least squares.
 *
 * @param name the tensor's, for the error
 * @throws {Florence2Error} `option_invalid` for weights that are no numbers, or beyond float16
 */
export function quantize(values: Float32Array, dtype: BlockDtype, name: string): Uint32Array<ArrayBuffer> {
  const bits = BITS[dtype];
  const words = new Uint32Array((values.length / BLOCK) * wordsOfBlock(dtype));
  for (let first = 0, at = 0; first < values.length; first += BLOCK, at += wordsOfBlock(dtype)) {
    const block = values.subarray(first, first + BLOCK);
    const grid = bestGrid(block, bits, FITS[dtype]);
    if (!Number.isFinite(grid.min) || !Number.isFinite(grid.step)) throw unquantizable(block, name);
    words[at] = grid.header;
    const perUnit = reciprocal(grid.step);
    for (let i = 0; i < BLOCK; i++) {
      const q = nearest((block[i]! - grid.min) * perUnit, bits);
      words[at + 1 + ((i * bits) >> 5)]! |= q << ((i * bits) & 31);
    }
  }
  return words;
}

/** The weights of whole blocks. */
export function dequantize(words: Uint32Array, dtype: BlockDtype, out: Float32Array): void {
  const bits = BITS[dtype];
  for (let first = 0, at = 0; first < out.length; first += BLOCK, at += wordsOfBlock(dtype)) {
    const { min, step } = gridIn(words[at]!, bits);
    for (let i = 0; i < BLOCK; i++) {
      const q = (words[at + 1 + ((i * bits) >> 5)]! >>> ((i * bits) & 31)) & (2 ** bits - 1);
      out[first + i] = min + step * q;
    }
  }
}

/* One block. */

/** The values that a block can hold: min + step * q. */
interface Grid {
  /** Minimum and span as they are stored. */
  readonly header: number;
  readonly min: number;
  /** Span / 2^bits. */
  readonly step: number;
}

/** Minimum and span, on their way through float16. */
const FLOATS = new Float32Array(2);
const HALVES = new Uint16Array(2);

function gridIn(header: number, bits: number): Grid {
  HALVES[0] = header & 0xffff;
  HALVES[1] = header >>> 16;
  widenFloat16(HALVES, FLOATS);
  return { header, min: FLOATS[0]!, step: FLOATS[1]! / 2 ** bits };
}

/** The nearest one whose min and span are float16. */
function gridOf(min: number, step: number, bits: number): Grid {
  FLOATS[0] = min;
  FLOATS[1] = step * 2 ** bits;
  narrowToFloat16(FLOATS, HALVES);
  return gridIn(((HALVES[1]! << 16) | HALVES[0]!) >>> 0, bits);
}

/** Begins with all weights between the ends, and then fits the grid, up to `fits` times, to the weights on it. */
function bestGrid(block: Float32Array, bits: number, fits: number): Grid {
  let low = block[0]!;
  let high = low;
  for (let i = 1; i < BLOCK; i++) {
    // NaN makes both ends NaN.
    low = Math.min(low, block[i]!);
    high = Math.max(high, block[i]!);
  }
  let best = gridOf(low, (high - low) / (2 ** bits - 1), bits);
  let leastError = Number.POSITIVE_INFINITY;
  for (let grid = best; fits > 0; fits--) {
    const { error, fitted } = refit(block, grid, bits);
    if (!(error < leastError)) break;
    best = grid;
    leastError = error;
    grid = fitted;
  }
  return best;
}

/** The sum of squared errors of a block on a grid, and the straight line of least squares through its weights over their q. */
function refit(block: Float32Array, grid: Grid, bits: number): { error: number; fitted: Grid } {
  const { min, step } = grid;
  const perUnit = reciprocal(step);
  let [error, sumQ, sumQQ, sumV, sumQV] = [0, 0, 0, 0, 0];
  for (let i = 0; i < BLOCK; i++) {
    const v = block[i]! - min;
    const q = nearest(v * perUnit, bits);
    error += (step * q - v) ** 2;
    sumQ += q;
    sumQQ += q * q;
    sumV += v;
    sumQV += q * v;
  }
  const spread = BLOCK * sumQQ - sumQ * sumQ;
  if (spread === 0) return { error, fitted: grid };
  const slope = (BLOCK * sumQV - sumQ * sumV) / spread;
  return { error, fitted: gridOf(min + (sumV - slope * sumQ) / BLOCK, slope, bits) };
}

/** The q nearest to a place on the grid, in steps from its min. */
function nearest(place: number, bits: number): number {
  return Math.floor(Math.min(Math.max(place, 0), 2 ** bits - 1) + 0.5);
}

/** Zero for zero: on a grid of one value all weights have one place. */
const reciprocal = (step: number) => (step === 0 ? 0 : 1 / step);

function unquantizable(block: Float32Array, name: string): Florence2Error {
  const found = block.find((value) => !(Math.abs(value) < 65504)) ?? block[0]!;
  return new Florence2Error(
    "option_invalid",
    `${quote(name)} holds ${found}, which has no place in blocks with float16 ends. Load this model with dtype "f32".`,
    { name, found },
  );
}
