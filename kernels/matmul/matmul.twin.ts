import { GROUP, groupOf, quantizeRow } from "../../core/dtypes/integers.ts";
import type { StoredWeights } from "../../core/dtypes/stored_weights.ts";
import type { Twin } from "../../core/kernel.ts";
import { activationOf } from "../shared/activation.ts";
import { normalizeRows } from "../shared/norm.ts";
import type { signature } from "./matmul.ts";

/** Whose rows `normed` are, as in matmul.store.wgsl. */
export const NORM = { none: 0, ofX: 1, ofResidual: 2 } as const;

export const matmulTwin: Twin<typeof signature> = (
  { x, weight, bias, residual, normed, norm_weight, norm_bias, out },
  { M, N, K, out_rows, out_columns, out_row, out_column },
  { HAS_BIAS, HAS_RESIDUAL, ACTIVATION: activation, NORM: norm },
) => {
  const activate = activationOf(activation);
  if (norm === NORM.ofX) x = normalizeRows(normed, norm_weight, norm_bias);
  if (norm === NORM.ofResidual) residual = normalizeRows(normed, norm_weight, norm_bias);
  const productsWith = weight.dtype === "i8" ? integerProducts(x, weight, K) : products(x, weight, K);
  for (let n = 0; n < N; n++) {
    const sumOf = productsWith(n);
    for (let m = 0; m < M; m++) {
      let sum = sumOf(m);
      if (HAS_BIAS) sum += bias[n]!;
      sum = activate(sum);
      const block = Math.floor((out_column + n) / out_columns);
      const i = (block * out_rows + out_row + m) * out_columns + ((out_column + n) % out_columns);
      if (HAS_RESIDUAL) sum += residual[i]!;
      out[i] = sum;
    }
  }
};

/** By row n of the weights and row m of x, the sum of their products. */
type Products = (n: number) => (m: number) => number;

function products(x: Float32Array, weight: StoredWeights, K: number): Products {
  return (n) => {
    const row = weight.values(n * K, K);
    return (m) => {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x[m * K + k]! * row[k]!;
      return sum;
    };
  };
}

/** Beside weights in i8, x is quantised, too: the sums of a group are whole, those of groups are rounded to f32. */
function integerProducts(x: Float32Array, weight: StoredWeights, K: number): Products {
  const rows = Array.from({ length: x.length / K }, (_, m) => quantizeRow(x.subarray(m * K, (m + 1) * K)));
  return (n) => {
    const words = weight.groups(n * K);
    const groups = Array.from({ length: K / GROUP }, (_, i) => groupOf(words, i));
    return (m) => {
      let sum = 0;
      for (const [i, { scale, zero, q }] of rows[m]!.entries()) {
        const weights = groups[i]!;
        let whole = 0;
        for (let k = 0; k < GROUP; k++) whole += (q[k]! - zero) * (weights.q[k]! - weights.zero);
        sum = Math.fround(sum + Math.fround(Math.fround(whole * weights.scale) * scale));
      }
      return sum;
    };
  };
}
