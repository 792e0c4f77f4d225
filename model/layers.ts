import type { Recording } from "../core/recording.ts";
import { BYTES_PER_ELEMENT, rows, type Tensor } from "../core/tensor.ts";
import { layerNorm } from "../kernels/layer_norm/layer_norm.ts";
import { type MatmulOptions, matmul } from "../kernels/matmul/matmul.ts";
import type { Affine, Normed } from "../kernels/shared/norm.ts";

/** The weights of y = x·Wᵀ + b: W is (out, in), as stored. */
export interface Linear {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** The two linear layers around the GELU of every transformer block. */
export interface FeedForward {
  readonly fc1: Linear;
  readonly fc2: Linear;
}

export function linear(
  rec: Recording,
  x: Tensor | Normed,
  { weight, bias }: Linear,
  options: Omit<MatmulOptions, "bias"> = {},
): Tensor {
  return matmul(rec, x, weight, { bias, ...options });
}

/** fc2(gelu(fc1(x))) + residual. The hidden rows are made in bands where they would outgrow a binding. */
export function feedForward(
  rec: Recording,
  x: Normed,
  { fc1, fc2 }: FeedForward,
  residual: Tensor | Normed,
): Tensor {
  const out = rec.temp(x.rows.shape);
  const hiddenBytes = fc1.weight.shape[0]! * BYTES_PER_ELEMENT;
  for (const { from, to, tensor } of rec.bands(x.rows, hiddenBytes)) {
    const hidden = linear(rec, { ...x, rows: tensor }, fc1, { activation: "gelu" });
    linear(rec, hidden, fc2, {
      residual: band(residual, from, to),
      out: rows(out, from, to),
    });
  }
  return out;
}

const band = (x: Tensor | Normed, from: number, to: number) =>
  "norm" in x ? { ...x, rows: rows(x.rows, from, to) } : rows(x, from, to);

export { type Affine, layerNorm, type Normed };
