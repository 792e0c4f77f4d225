import type { Recording } from "../core/recording.ts";
import { BYTES_PER_ELEMENT, rows, type Tensor } from "../core/tensor.ts";
import { type MatmulOptions, matmul } from "../kernels/matmul/matmul.ts";
import type { Activation } from "../kernels/shared/activation.ts";
import type { Normed } from "../kernels/shared/norm.ts";

/** The weights of y = x·Wᵀ + b: W is (out, in), as stored. */
export interface Linear {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** The two linear layers around the activation function of every transformer block. */
export interface FeedForward {
  readonly fc1: Linear;
  readonly fc2: Linear;
}

/**
 * y = x·Wᵀ + b: (N, in) → (N, out). Rows that come with a norm are normalised as they are read.
 *
 * @param options an activation, a residual that is added to y, or where y goes: see `matmul`
 */
export function linear(
  rec: Recording,
  x: Tensor | Normed,
  { weight, bias }: Linear,
  options: Omit<MatmulOptions, "bias"> = {},
): Tensor {
  return matmul(rec, x, weight, { bias, ...options });
}

/**
 * The feed-forward layer of a transformer block with its residual connection: fc2(activation(fc1(x))) +
 * residual: (N, C) → (N, hidden) → (N, C). The hidden rows are made in bands where they would outgrow a binding.
 * Reference modules: `Florence2VisionMLP`; fc1 and fc2 of `BartEncoderLayer`.
 */
export function feedForward(
  rec: Recording,
  x: Normed,
  { fc1, fc2 }: FeedForward,
  residual: Tensor | Normed,
  activation: Activation,
): Tensor {
  return inBands(rec, x.rows, { columns: fc1.weight.shape[0]! }, (band, out, from, to) => {
    const hidden = linear(rec, { ...x, rows: band }, fc1, { activation });
    linear(rec, hidden, fc2, { residual: rowsFrom(residual, from, to), out });
  });
}

/**
 * Computes a result (N, C) of x (N, C) in bands of rows, so that what `body` makes on the way, with `columns`
 * columns, fits the largest binding of the device.
 *
 * @param wide.multiple bands begin at multiples of this many rows
 * @param body computes the rows `from` to `to` of the result, `out`, of those of x, `band`
 */
export function inBands(
  rec: Recording,
  x: Tensor,
  { columns, multiple }: { readonly columns: number; readonly multiple?: number },
  body: (band: Tensor, out: Tensor, from: number, to: number) => void,
): Tensor {
  const out = rec.temp(x.shape);
  for (const { from, to, tensor } of rec.bands(x, columns * BYTES_PER_ELEMENT, multiple))
    body(tensor, rows(out, from, to), from, to);
  return out;
}

const rowsFrom = (x: Tensor | Normed, from: number, to: number) =>
  "norm" in x ? { ...x, rows: rows(x.rows, from, to) } : rows(x, from, to);
