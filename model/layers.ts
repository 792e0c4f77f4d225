import type { Recording } from "../core/recording.ts";
import { BYTES_PER_ELEMENT, rows, type Tensor } from "../core/tensor.ts";
import { type Affine, layerNorm } from "../kernels/layer_norm/layer_norm.ts";
import { type MatmulOptions, matmul } from "../kernels/matmul/matmul.ts";

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
  x: Tensor,
  { weight, bias }: Linear,
  options: Omit<MatmulOptions, "bias"> = {},
): Tensor {
  return matmul(rec, x, weight, { bias, ...options });
}

/** fc2(gelu(fc1(x))) + residual. The hidden rows are made in bands where they would outgrow a binding. */
export function feedForward(rec: Recording, x: Tensor, { fc1, fc2 }: FeedForward, residual: Tensor): Tensor {
  const out = rec.temp(x.shape);
  const hiddenBytes = fc1.weight.shape[0]! * BYTES_PER_ELEMENT;
  for (const band of rec.bands(x, hiddenBytes)) {
    const hidden = linear(rec, band.tensor, fc1, { activation: "gelu" });
    linear(rec, hidden, fc2, {
      residual: rows(residual, band.from, band.to),
      out: rows(out, band.from, band.to),
    });
  }
  return out;
}

export { type Affine, layerNorm };
