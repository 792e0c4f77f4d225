import { Florence2Error } from "../../core/errors.ts";
import { defineKernel, linearGroups, read, readU32, update, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { expectShape, type Tensor } from "../../core/tensor.ts";
import { cachedAttentionTwin } from "./cached_attention.twin.ts";

export const signature = {
  name: "cached_attention",
  bindings: { qkv: read, ancestry: readU32, position: readU32, keys: update, values: update, out: write },
  params: { rows: "u32", steps: "u32" },
  constants: { D: "u32", H: "u32" },
} as const;

export const cachedAttentionKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/cached_attention/cached_attention.wgsl"),
      includes: [
        wgsl("kernels/shared/grid.wgsl"),
        wgsl("kernels/shared/masked.wgsl"),
        wgsl("kernels/shared/query_attention.wgsl"),
        wgsl("kernels/shared/reduce.wgsl"),
      ],
      groups: ({ rows }, { H }) => linearGroups(rows * H),
    },
  ],
  twin: cachedAttentionTwin,
});

/** The most channels of a head: each four of them have one of 64 lanes. They are a multiple of four. */
export const MAX_HEAD_WIDTH = 256;

/**
 * softmax(q·kᵀ / √D)·v of one decoding step over the steps so far and itself: causal self-attention with a
 * cache, which keeps this step's keys and values (BART decoder, transformers `BartAttention`).
 *
 * @param qkv (R, 3d): query, key and value of each row's newest token
 * @param keys (T, R, d), of which the steps before position are seen
 * @param values (T, R, d)
 * @param ancestry u32 (R, T): the row whose entry of each step belongs to this row's history; each row's own at
 *   position
 * @param position u32 (1), below T
 * @returns (R, d)
 * @throws {Florence2Error} `shape_mismatch`
 */
export function cachedAttention(
  rec: Recording,
  qkv: Tensor,
  keys: Tensor,
  values: Tensor,
  ancestry: Tensor,
  position: Tensor,
  heads: number,
): Tensor {
  const [T = 0, R = 0, d = 0] = keys.shape;
  expectShape(qkv, [R, 3 * d], "cached_attention qkv");
  expectShape(values, [T, R, d], "cached_attention values");
  expectShape(ancestry, [R, T], "cached_attention ancestry");
  expectShape(position, [1], "cached_attention position");
  const D = d / heads;
  if (D % 4 !== 0 || D > MAX_HEAD_WIDTH) {
    throw new Florence2Error(
      "shape_mismatch",
      `cached_attention: ${d} columns in ${heads} heads, expected a multiple of four up to ${MAX_HEAD_WIDTH} each`,
    );
  }
  const out = rec.temp([R, d]);
  rec.dispatch(
    cachedAttentionKernel,
    { qkv, ancestry, position, keys, values, out },
    { rows: R, steps: T },
    { D, H: heads },
  );
  return out;
}
