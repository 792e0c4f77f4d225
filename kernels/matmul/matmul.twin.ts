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
  for (let n = 0; n < N; n++) {
    const row = weight.values(n * K, K);
    for (let m = 0; m < M; m++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x[m * K + k]! * row[k]!;
      if (HAS_BIAS) sum += bias[n]!;
      sum = activate(sum);
      const block = Math.floor((out_column + n) / out_columns);
      const i = (block * out_rows + out_row + m) * out_columns + ((out_column + n) % out_columns);
      if (HAS_RESIDUAL) sum += residual[i]!;
      out[i] = sum;
    }
  }
};
