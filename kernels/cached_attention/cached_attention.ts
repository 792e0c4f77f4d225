import { Florence2Error } from "../../core/errors.ts";
import { defineKernel, linearGroups, read, readU32, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { columnsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { cachedAttentionTwin } from "./cached_attention.twin.ts";

export const cachedAttentionKernel = defineKernel({
  name: "cached_attention",
  bindings: { q: read, keys: read, values: read, ancestry: readU32, position: readU32, out: write },
  params: { rows: "u32", columns: "u32", steps: "u32" },
  constants: { D: "u32", H: "u32" },
  variants: [
    {
      label: "portable",
      source: new URL("./cached_attention.wgsl", import.meta.url),
      includes: [
        new URL("../shared/grid.wgsl", import.meta.url),
        new URL("../shared/query_attention.wgsl", import.meta.url),
      ],
      groups: ({ rows }, { H }) => linearGroups(rows * H),
    },
  ],
  twin: cachedAttentionTwin,
});

/** As in the shader. */
const MAX_HEAD_WIDTH = 128;

/**
 * softmax(q·kᵀ / √D)·v of one decoding step over the steps so far: causal self-attention with a cache
 * (BART decoder, transformers `BartAttention`).
 *
 * @param q (R, columns): the query is its first d columns
 * @param keys (T, R, d), of which steps 0 to position are seen
 * @param values (T, R, d)
 * @param ancestry u32 (R, T): the row whose entry of each step belongs to this row's history
 * @param position u32 (1), below T
 * @returns (R, d)
 */
export function cachedAttention(
  rec: Recording,
  q: Tensor,
  keys: Tensor,
  values: Tensor,
  ancestry: Tensor,
  position: Tensor,
  heads: number,
): Tensor {
  const [T = 0, R = 0, d = 0] = keys.shape;
  expectShape(values, [T, R, d], "cached_attention values");
  expectShape(ancestry, [R, T], "cached_attention ancestry");
  expectShape(position, [1], "cached_attention position");
  const D = d / heads;
  if (!Number.isInteger(D) || D > MAX_HEAD_WIDTH) {
    throw new Florence2Error(
      "shape_mismatch",
      `cached_attention: ${d} columns in ${heads} heads, expected at most ${MAX_HEAD_WIDTH} whole columns each`,
    );
  }
  if (rowsOf(q) !== R || columnsOf(q) < d) {
    throw new Florence2Error(
      "shape_mismatch",
      `cached_attention: q [${q.shape}] does not hold ${R} queries of ${d} columns`,
    );
  }
  const out = rec.temp([R, d]);
  const params = { rows: R, columns: columnsOf(q), steps: T };
  rec.dispatch(cachedAttentionKernel, { q, keys, values, ancestry, position, out }, params, {
    D,
    H: heads,
  });
  return out;
}
