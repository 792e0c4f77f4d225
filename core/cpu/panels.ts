import { GROUP, WORDS_OF_GROUP } from "../dtypes/integers.ts";
import { BITS, BLOCK, wordsOfBlock } from "../dtypes/quantization.ts";
import type { PackedDtype } from "../dtypes/stored_weights.ts";

/**
 * How the engine keeps matrices: in panels of 8 rows, whose weights of one column, or of four, lie side by side
 * (kernels/shared/weights.as.ts has the layouts). A row of zeros fills what is missing to a whole panel.
 */
export const PANEL = 8;

/** What compiled kernels call the ways to store weights, as in kernels/shared/weights.as.ts. */
export const FORMATS: Readonly<Record<PackedDtype, number>> = { f32: 0, f16: 1, q8: 2, q4: 3, i8: 5 };
/** Halves as they are, in a matrix with weights of 128 or more; all others are multiplied by 2^10. */
export const FORMAT_LARGE_F16 = 6;
/** In f32, not in panels but row by row: weights that a kernel computed. */
export const FORMAT_ROWS = 4;

export const wholePanels = (rows: number) => Math.ceil(rows / PANEL) * PANEL;

/** The words of a matrix (rows, K) row by row, from its panels in one of the `FORMATS`. */
export function rowsOfPanels(
  panels: Uint32Array,
  rows: number,
  K: number,
  format: number,
): Uint32Array<ArrayBuffer> {
  if (format === FORMATS.q8 || format === FORMATS.q4)
    return unpackedBlocks(panels, rows, K, format === FORMATS.q8 ? "q8" : "q4");
  if (format === FORMATS.f32 || format === FORMATS.i8) {
    const wordsOfRow = format === FORMATS.f32 ? K : (K / GROUP) * WORDS_OF_GROUP;
    const words = new Uint32Array(rows * wordsOfRow);
    unpack(panels, words, rows, wordsOfRow);
    return words;
  }
  const halves = new Uint16Array(2 * Math.ceil((rows * K) / 2));
  unpack(new Uint16Array(panels.buffer, panels.byteOffset, 2 * panels.length), halves, rows, K);
  if (format === FORMATS.f16) for (let i = 0; i < halves.length; i++) halves[i] = lowered(halves[i]!);
  return new Uint32Array(halves.buffer);
}

/** A half over 2^10: of 2^10 times a subnormal half, the half. */
function lowered(half: number): number {
  const exponent = (half >> 10) & 31;
  if (exponent > 10) return half - (10 << 10);
  if (exponent === 0) return half;
  return (half & 0x8000) | (((half & 0x3ff) | 0x400) >> (11 - exponent));
}

function unpack<Words extends Uint32Array | Uint16Array>(from: Words, to: Words, rows: number, K: number) {
  for (let row = 0; row < rows; row++) {
    const first = Math.floor(row / PANEL) * PANEL * K + (row % PANEL);
    for (let k = 0; k < K; k++) to[row * K + k] = from[first + PANEL * k]!;
  }
}

function unpackedBlocks(panels: Uint32Array, rows: number, K: number, dtype: "q8" | "q4") {
  const wordsOfRow = (K / BLOCK) * wordsOfBlock(dtype);
  const words = new Uint32Array(rows * wordsOfRow);
  const bytes = new Uint8Array(panels.buffer, panels.byteOffset, panels.byteLength);
  for (let row = 0; row < rows; row++) {
    const column = row % PANEL;
    for (let block = 0; block < K / BLOCK; block++) {
      const from = (Math.floor(row / PANEL) * wordsOfRow + block * wordsOfBlock(dtype)) * PANEL;
      const to = row * wordsOfRow + block * wordsOfBlock(dtype);
      words[to] = panels[from + column]!;
      for (let k = 0; k < BLOCK; k++) {
        const bits = BITS[dtype];
        const inGroup = dtype === "q8" ? 4 * column + (k % 4) : 4 * (column % 4) + (k % 4);
        const byte = bytes[4 * (from + PANEL) + Math.floor(k / 4) * 4 * bits + inGroup]!;
        const q = dtype === "q8" ? byte : column < 4 ? byte & 15 : byte >> 4;
        words[to + 1 + ((k * bits) >> 5)]! |= q << ((k * bits) & 31);
      }
    }
  }
  return words;
}
