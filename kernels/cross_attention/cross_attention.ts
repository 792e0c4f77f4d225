import { Florence2Error } from "../../core/errors.ts";
import { defineKernel, linearGroups, read, readU32, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { expectShape, type Tensor } from "../../core/tensor.ts";
import { expectNormed, type Normed } from "../shared/norm.ts";
import { weights } from "../shared/weights.ts";
import { crossAttentionTwin } from "./cross_attention.twin.ts";

export const signature = {
  name: "cross_attention",
  bindings: {
    normed: read,
    norm_weight: read,
    norm_bias: read,
    query_weight: weights,
    query_bias: read,
    keys_values: read,
    lengths: readU32,
    out: write,
  },
  params: { rows: "u32", rows_per_image: "u32", source: "u32" },
  constants: { D: "u32", H: "u32" },
} as const;

export const crossAttentionKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/cross_attention/cross_attention.wgsl"),
      includes: [
        wgsl("kernels/shared/grid.wgsl"),
        wgsl("kernels/shared/row_statistics.wgsl"),
        wgsl("kernels/shared/masked.wgsl"),
        wgsl("kernels/shared/query_attention.wgsl"),
        wgsl("kernels/shared/reduce.wgsl"),
      ],
      groups: ({ rows }, { H }) => linearGroups(rows * H),
    },
  ],
  twin: crossAttentionTwin,
});

/** The most channels of a head: each four of them have one of 256 lanes. They are a multiple of four. */
export const MAX_HEAD_WIDTH = 1024;

/**
 * softmax(q·kᵀ / √D)·v of decoder rows over the encoder's output for their image and prompt, the
 * query's projection included (BART decoder, transformers `BartAttention`). The R rows belong to P images,
 * R / P neighbours to each.
 *
 * @param x (R, d)
 * @param query weight (d, d) and bias (d) of the query's projection
 * @param keysValues (P, S, 2d): keys and values side by side
 * @param lengths u32 (P): how many of the S source tokens are real
 * @returns (R, d)
 * @throws {Florence2Error} `shape_mismatch`
 */
export function crossAttention(
  rec: Recording,
  x: Normed,
  query: { readonly weight: Tensor; readonly bias: Tensor },
  keysValues: Tensor,
  lengths: Tensor,
  heads: number,
): Tensor {
  const [R = 0, d = 0] = x.rows.shape;
  const [P = 0, S = 0] = keysValues.shape;
  expectNormed(x, "cross_attention x");
  expectShape(query.weight, [d, d], "cross_attention query weight");
  expectShape(query.bias, [d], "cross_attention query bias");
  expectShape(keysValues, [P, S, 2 * d], "cross_attention keys and values");
  expectShape(lengths, [P], "cross_attention lengths");
  const D = d / heads;
  if (D % 4 !== 0 || D > MAX_HEAD_WIDTH) {
    throw new Florence2Error(
      "shape_mismatch",
      `cross_attention: ${d} columns in ${heads} heads, expected a multiple of four up to ${MAX_HEAD_WIDTH} each`,
    );
  }
  if (R % P !== 0) {
    throw new Florence2Error(
      "shape_mismatch",
      `cross_attention: ${R} rows for ${P} images, expected a multiple`,
    );
  }
  const out = rec.temp([R, d]);
  rec.dispatch(
    crossAttentionKernel,
    {
      normed: x.rows,
      norm_weight: x.norm.weight,
      norm_bias: x.norm.bias,
      query_weight: query.weight,
      query_bias: query.bias,
      keys_values: keysValues,
      lengths,
      out,
    },
    { rows: R, rows_per_image: R / P, source: S },
    { D, H: heads },
  );
  return out;
}
