import type { StoredWeights } from "../../core/dtypes/stored_weights.ts";
import { normalizeRows } from "../shared/norm.ts";

interface Arrays {
  readonly x: Float32Array;
  readonly weight: StoredWeights;
  readonly bias: Float32Array;
  readonly residual: Float32Array;
  readonly normed: Float32Array;
  readonly norm_weight: Float32Array;
  readonly norm_bias: Float32Array;
  readonly out: Float32Array;
}

interface Params {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly outRows: number;
  readonly outColumns: number;
  readonly outRow: number;
  readonly outColumn: number;
}

interface Constants {
  readonly HAS_BIAS: number;
  readonly HAS_RESIDUAL: number;
  readonly HAS_GELU: number;
  readonly NORM: number;
}

/** Whose rows `normed` are, as in matmul.store.wgsl. */
export const NORM = { none: 0, ofX: 1, ofResidual: 2 } as const;

export function matmulTwin(
  { x, weight, bias, residual, normed, norm_weight, norm_bias, out }: Arrays,
  { M, N, K, outRows, outColumns, outRow, outColumn }: Params,
  { HAS_BIAS, HAS_RESIDUAL, HAS_GELU, NORM: norm }: Constants,
): void {
  if (norm === NORM.ofX) x = normalizeRows(normed, norm_weight, norm_bias);
  if (norm === NORM.ofResidual) residual = normalizeRows(normed, norm_weight, norm_bias);
  for (let n = 0; n < N; n++) {
    const row = weight.values(n * K, K);
    for (let m = 0; m < M; m++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x[m * K + k]! * row[k]!;
      if (HAS_BIAS) sum += bias[n]!;
      if (HAS_GELU) sum = gelu(sum);
      const block = Math.floor((outColumn + n) / outColumns);
      const i = (block * outRows + outRow + m) * outColumns + ((outColumn + n) % outColumns);
      if (HAS_RESIDUAL) sum += residual[i]!;
      out[i] = sum;
    }
  }
}

const gelu = (x: number) => 0.5 * x * (1 + erf(x / Math.SQRT2));

/** The error function to about 1e-15: its Taylor series (Abramowitz and Stegun 7.1.6), 1 where it is 1 in f32. */
function erf(x: number): number {
  if (Math.abs(x) > 4.5) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
