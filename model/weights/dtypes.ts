import { GROUP } from "../../core/dtypes/integers.ts";
import { BITS, BLOCK, type BlockDtype, wordsOfBlock } from "../../core/dtypes/quantization.ts";
import type { TensorEntry } from "../../files/tensors/tensor_file.ts";
import type { Shape } from "./expected_tensors.ts";

export type WeightDtype = "F32" | "F16" | "BF16";
/** Matrices of linear layers may also be stored in blocks (core/dtypes/quantization.ts), as rows of U32. */
export type StoredDtype = WeightDtype | "Q8" | "Q4";

/** Whether this is the matrix of a linear layer, or the token table: what may be stored in blocks. */
export function isLinear(name: string, shape: Shape): boolean {
  const isPositions = /(embed_positions|row_embeddings|column_embeddings)\.weight$/.test(name);
  return shape.length === 2 && shape[1]! % BLOCK === 0 && name.endsWith(".weight") && !isPositions;
}

/**
 * By requested dtype, the matrices that can be held in it and cost the bundled checkpoint no more than 0.5 % (q8) and
 * 3 % (q4) of any metric (see docs/models.md, "Memory"). The others are held in twice the bits.
 */
const IN_BLOCKS: Readonly<Record<BlockDtype, RegExp>> = {
  q8: /^vision_tower\.blocks\.[23]\./,
  q4: /^vision_tower\.blocks\.2\.|\.(shared|lm_head)\.weight$/,
};
const TWICE_THE_BITS = { q4: "q8", q8: "f16" } as const;

/**
 * Storage on the device when q8 or q4 is requested: that dtype for the layers in IN_BLOCKS, twice the bits for other
 * linear layers, else f16.
 */
export function deviceDtype(name: string, shape: Shape, dtype: BlockDtype): "f16" | BlockDtype {
  if (!isLinear(name, shape)) return "f16";
  return IN_BLOCKS[dtype].test(name) ? dtype : TWICE_THE_BITS[dtype];
}

/**
 * What bears 8-bit products: all of it together costs no metric of the bundled checkpoint more than 1 %, and no error
 * rate 0.1 points (see docs/accuracy.md, "8 bits on the CPU engine"). The token table and the head stay in f16.
 */
const IN_I8 = /^vision_tower\.blocks\.|^language_model\.model\.(en|de)coder\.layers\./;

/** Whether a matrix is held in i8 when q8 is requested of a device that multiplies it faster. */
export function isInI8(name: string, shape: Shape): boolean {
  return isLinear(name, shape) && shape[1]! % GROUP === 0 && IN_I8.test(name);
}

/** The shape in which a matrix is stored in blocks: rows of words. */
export function shapeInBlocks([rows, columns]: Shape, dtype: BlockDtype): Shape {
  return [rows!, (columns! / BLOCK) * wordsOfBlock(dtype)];
}

/** q8 or q4 if this U32 tensor holds a quantised matrix, told apart by row length. */
export function quantizedDtype(
  { dtype, shape }: TensorEntry,
  name: string,
  wanted: Shape,
): BlockDtype | undefined {
  if (dtype !== "U32" || !isLinear(name, wanted)) return undefined;
  const fits = (blocks: BlockDtype) => String(shape) === String(shapeInBlocks(wanted, blocks));
  return (Object.keys(BITS) as BlockDtype[]).find(fits);
}

export function isWeightDtype(dtype: string): dtype is WeightDtype {
  return dtype === "F32" || dtype === "F16" || dtype === "BF16";
}
