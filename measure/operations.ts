import type { Numbers } from "../core/kernel.ts";
import type { Dispatch } from "../core/recording.ts";

/** Arithmetic operations of one call (a multiply-add is two), as the cases of each kernel count them. */
const OPERATIONS: Readonly<Record<string, (sizes: Numbers) => number>> = {
  matmul: ({ M, N, K }) => 2 * M! * N! * K!,
  conv2d: ({ out_height, out_width, outputs, channels, KERNEL }) =>
    2 * out_height! * out_width! * outputs! * channels! * KERNEL! ** 2,
  channel_scores: ({ tokens, groups, D }) => tokens! * groups! * D! * (4 * groups! * D! + 2 * D!),
  fold_channel_attention: ({ chunks, groups, D }) =>
    groups! * D! * (chunks! * D! + 2 * groups! * D! * (D! + groups! * D!)),
  encoder_attention: ({ tokens, H, D }) => 4 * tokens! ** 2 * H! * D!,
  window_attention: ({ height, width, heads, D, WINDOW }) =>
    height! * width! * heads! * WINDOW! ** 2 * (4 * D! + 3),
  depthwise_conv: ({ height, width, C }) => 20 * height! * width! * C!,
};

/** 0 for kernels that only move memory. */
export function operationsOf(dispatch: Dispatch): number {
  const count = OPERATIONS[dispatch.kernel.name];
  return count ? count({ ...dispatch.params, ...dispatch.constants }) : 0;
}
