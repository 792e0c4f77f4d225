import { Florence2Error } from "../../core/errors.ts";
import { columnsOf, expectShape, type Tensor } from "../../core/tensor.ts";

/** The learned scale and shift of a normalisation: both (C). */
export interface NormWeights {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** Rows (N, C) and the layer norm that the kernels which read them apply on the way: there is no normalised copy. */
export interface Normed {
  readonly rows: Tensor;
  readonly norm: NormWeights;
}

/** The rows themselves, and the norm that they are read through, if any. */
export function unwrap(x: Tensor | Normed): { readonly rows: Tensor; readonly norm?: NormWeights } {
  return "rows" in x ? x : { rows: x };
}

/** Throws unless the norm fits the rows, and these are whole vectors of four. */
export function expectNormed({ rows, norm: { weight, bias } }: Normed, what: string): void {
  if (columnsOf(rows) % 4 !== 0) {
    throw new Florence2Error(
      "shape_mismatch",
      `${what}: rows of [${rows.shape}] are normalised, which takes a multiple of four columns`,
    );
  }
  expectShape(weight, [columnsOf(rows)], `${what} norm weight`);
  expectShape(bias, [columnsOf(rows)], `${what} norm bias`);
}

/** Added to the variance: the same in every released model (PyTorch's default), and in row_statistics.wgsl. */
const EPSILON = 1e-5;

/** For twins: each row of x to mean 0 and variance 1, then scaled and shifted. */
export function normalizeRows(x: Float32Array, weight: Float32Array, bias: Float32Array): Float32Array {
  const C = weight.length;
  const out = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += C) {
    let mean = 0;
    for (let c = 0; c < C; c++) mean += x[start + c]! / C;
    let variance = 0;
    for (let c = 0; c < C; c++) variance += (x[start + c]! - mean) ** 2 / C;
    const scale = 1 / Math.sqrt(variance + EPSILON);
    for (let c = 0; c < C; c++) out[start + c] = (x[start + c]! - mean) * scale * weight[c]! + bias[c]!;
  }
  return out;
}
