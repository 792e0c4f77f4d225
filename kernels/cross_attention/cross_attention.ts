import { Florence2Error } from "../../core/errors.ts";
import { defineKernel, linearGroups, read, readU32, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { expectShape, type Tensor } from "../../core/tensor.ts";
import { crossAttentionTwin } from "./cross_attention.twin.ts";

export const crossAttentionKernel = defineKernel({
  name: "cross_attention",
  bindings: { q: read, keysValues: read, lengths: readU32, out: write },
  params: { rows: "u32", rowsPerPicture: "u32", source: "u32" },
  constants: { D: "u32", H: "u32" },
  variants: [
    {
      label: "portable",
      source: new URL("./cross_attention.wgsl", import.meta.url),
      includes: [
        new URL("../shared/grid.wgsl", import.meta.url),
        new URL("../shared/query_attention.wgsl", import.meta.url),
      ],
      groups: ({ rows }, { H }) => linearGroups(rows * H),
    },
  ],
  twin: crossAttentionTwin,
});

/** As in the shader. */
const MAX_HEAD_WIDTH = 128;

/**
 * softmax(q·kᵀ / √D)·v of decoder rows over what the encoder made of their picture and prompt (BART
 * decoder, transformers `BartAttention`). The R rows belong to P pictures, R / P neighbours to each.
 *
 * @param q (R, d)
 * @param keysValues (P, S, 2d): keys and values side by side
 * @param lengths u32 (P): how many of the S source tokens are real
 * @returns (R, d)
 */
export function crossAttention(
  rec: Recording,
  q: Tensor,
  keysValues: Tensor,
  lengths: Tensor,
  heads: number,
): Tensor {
  const [R = 0, d = 0] = q.shape;
  const [P = 0, S = 0] = keysValues.shape;
  expectShape(keysValues, [P, S, 2 * d], "cross_attention keys and values");
  expectShape(lengths, [P], "cross_attention lengths");
  const D = d / heads;
  if (!Number.isInteger(D) || D > MAX_HEAD_WIDTH) {
    throw new Florence2Error(
      "shape_mismatch",
      `cross_attention: ${d} columns in ${heads} heads, expected at most ${MAX_HEAD_WIDTH} whole columns each`,
    );
  }
  if (R % P !== 0) {
    throw new Florence2Error(
      "shape_mismatch",
      `cross_attention: ${R} rows do not belong to ${P} pictures alike`,
    );
  }
  const out = rec.temp([R, d]);
  const params = { rows: R, rowsPerPicture: R / P, source: S };
  rec.dispatch(crossAttentionKernel, { q, keysValues, lengths, out }, params, { D, H: heads });
  return out;
}
