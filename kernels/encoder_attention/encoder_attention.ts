import { Florence2Error } from "../../core/errors.ts";
import { ceilDiv, defineKernel, linearGroups, read, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, rowsOf, type Tensor } from "../../core/tensor.ts";
import { encoderAttentionTwin } from "./encoder_attention.twin.ts";

/** Queries of a workgroup, as in the shader. */
const TILE = 32;
/** The most channels of a head: eight lanes have sixteen of them each. They are a multiple of four. */
export const MAX_HEAD_WIDTH = 128;

export const signature = {
  name: "encoder_attention",
  bindings: { qkv: read, out: write },
  params: { tokens: "u32" },
  constants: { D: "u32", H: "u32" },
} as const;

export const encoderAttentionKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/encoder_attention/encoder_attention.wgsl"),
      includes: [wgsl("kernels/shared/grid.wgsl"), wgsl("kernels/shared/masked.wgsl")],
      groups: ({ tokens }, { H }) => linearGroups(ceilDiv(tokens, TILE) * H),
    },
  ],
  twin: encoderAttentionTwin,
});

/**
 * softmax(q·kᵀ / √D)·v of a sequence with itself, both ways: qkv (S, 3d) with q, k and v side by side,
 * heads of D = d / heads columns (a multiple of four, at most 128); returns (S, d). BART encoder, transformers `BartAttention`.
 *
 * @throws {Florence2Error} `shape_mismatch`
 */
export function encoderAttention(rec: Recording, qkv: Tensor, heads: number): Tensor {
  const [S, d] = [rowsOf(qkv), columnsOf(qkv) / 3];
  const D = d / heads;
  if (D % 4 !== 0 || D > MAX_HEAD_WIDTH) {
    throw new Florence2Error(
      "shape_mismatch",
      `encoder_attention: ${d} columns in ${heads} heads, expected a multiple of four up to ${MAX_HEAD_WIDTH} each`,
    );
  }
  const out = rec.temp([S, d]);
  rec.dispatch(encoderAttentionKernel, { qkv, out }, { tokens: S }, { D, H: heads });
  return out;
}
