import { GROUP, WORDS_OF_GROUP } from "../dtypes/integers.ts";
import { BITS, BLOCK, isBlockDtype, wordsOfBlock } from "../dtypes/quantization.ts";
import type { PackedDtype } from "../dtypes/stored_weights.ts";

/**
 * How the engine keeps matrices: in panels of 8 rows, whose weights of one column, or of four, lie side by side
 * (kernels/shared/weights.as.ts has the layouts). A row of zeros fills what is missing to a whole panel.
 */
export const PANEL = 8;

/** What compiled kernels call the ways to store weights, as in kernels/shared/weights.as.ts. */
export const FORMATS: Readonly<Record<PackedDtype, number>> = { f32: 0, f16: 1, q8: 2, q4: 3, i8: 5 };
/** In f32, not in panels but row by row: weights that a kernel computed. */
export const FORMAT_ROWS = 4;

export const wholePanels = (rows: number) => Math.ceil(rows / PANEL) * PANEL;

/** The words of a matrix (rows, K) row by row, from its panels. */
export function rowsOfPanels(
  panels: Uint32Array,
  rows: number,
  K: number,
  dtype: PackedDtype,
): Uint32Array<ArrayBuffer> {
  if (dtype === "f32" || dtype === "i8") {
    const wordsOfRow = dtype === "f32" ? K : (K / GROUP) * WORDS_OF_GROUP;
    const words = new Uint32Array(rows * wordsOfRow);
    unpack(panels, words, rows, wordsOfRow);
    return words;
  }
  if (isBlockDtype(dtype)) return unpackedBlocks(panels, rows, K, dtype);
  const halves = new Uint16Array(2 * Math.ceil((rows * K) / 2));
  unpack(new Uint16Array(panels.buffer, panels.byteOffset, 2 * panels.length), halves, rows, K);
  return new Uint32Array(halves.buffer);
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
