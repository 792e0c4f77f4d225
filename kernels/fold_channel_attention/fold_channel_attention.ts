import { ceilDiv, defineKernel, linearGroups, read, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { expectShape, type Tensor } from "../../core/tensor.ts";
import { weights } from "../shared/weights.ts";
import { foldChannelAttentionTwin } from "./fold_channel_attention.twin.ts";

const includes = [
  wgsl("kernels/shared/grid.wgsl"),
  wgsl("kernels/fold_channel_attention/fold_channel_attention.attention.wgsl"),
];

/** Rows and columns of a workgroup, as in the shader. */
const TILE = 64;

export const signature = {
  name: "fold_channel_attention",
  bindings: {
    partials: read,
    qkv_weight: weights,
    qkv_bias: read,
    proj_weight: weights,
    proj_bias: read,
    weight: write,
    bias: write,
  },
  params: { chunks: "u32", groups: "u32", scale: "f32" },
  constants: { D: "u32" },
} as const;

export const foldChannelAttentionKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/fold_channel_attention/fold_channel_attention.wgsl"),
      includes,
      groups: ({ groups }, { D }) => linearGroups(ceilDiv(groups * D, TILE) ** 2),
    },
  ],
  twin: foldChannelAttentionTwin,
});

/**
 * Channel attention as one linear layer of its tokens: the attention between channels is the same for all of the
 * N tokens, so that value projection, attention and output projection are one product of matrices, weight (C, C)
 * and bias (C). Attention is softmax(N^-1/2 QᵀK) along rows per group; QᵀK comes from `channelScores` as sums over
 * chunks of the tokens, (chunks, G, D, D). The scale is that of the tokens, not of the channels.
 *
 * @throws {Florence2Error} `shape_mismatch`
 */
export function foldChannelAttention(
  rec: Recording,
  partials: Tensor,
  { qkv, proj }: Readonly<Record<"qkv" | "proj", { readonly weight: Tensor; readonly bias: Tensor }>>,
  tokens: number,
): { readonly weight: Tensor; readonly bias: Tensor } {
  const [chunks = 0, groups = 0, D = 0] = partials.shape;
  const C = groups * D;
  expectShape(partials, [chunks, groups, D, D], "fold_channel_attention partials");
  expectShape(qkv.weight, [3 * C, C], "fold_channel_attention qkv weight");
  expectShape(qkv.bias, [3 * C], "fold_channel_attention qkv bias");
  expectShape(proj.weight, [C, C], "fold_channel_attention proj weight");
  expectShape(proj.bias, [C], "fold_channel_attention proj bias");
  const [weight, bias] = [rec.temp([C, C]), rec.temp([C])];
  rec.dispatch(
    foldChannelAttentionKernel,
    {
      partials,
      qkv_weight: qkv.weight,
      qkv_bias: qkv.bias,
      proj_weight: proj.weight,
      proj_bias: proj.bias,
      weight,
      bias,
    },
    { chunks, groups, scale: tokens ** -0.5 },
    { D },
  );
  return { weight, bias };
}
