import { Florence2Error } from "../../core/errors.ts";
import { ceilDiv, defineKernel, linearGroups, read, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { channelMixTwin } from "./channel_mix.twin.ts";

/** As in the shader. */
const TILE = 32;
const MAX_HEAD_WIDTH = 64;

export const channelMixKernel = defineKernel({
  name: "channel_mix",
  bindings: { qkv: read, attention: read, out: write },
  params: { tokens: "u32", groups: "u32" },
  constants: { D: "u32" },
  variants: [
    {
      label: "portable",
      source: new URL("./channel_mix.wgsl", import.meta.url),
      includes: [new URL("../shared/grid.wgsl", import.meta.url)],
      groups: ({ tokens, groups }) => linearGroups(ceilDiv(tokens, TILE) * groups),
    },
  ],
  twin: channelMixTwin,
});

/**
 * out (N, C) = V Aᵀ per group of D channels: the last step of channel attention, in which every channel
 * of a token becomes a mixture of the channels of its group. V is the last third of qkv (N, 3C), A is
 * `attention` (G, D, D) from `channelSoftmax`.
 */
export function channelMix(rec: Recording, qkv: Tensor, attention: Tensor, out: Tensor): void {
  const tokens = rowsOf(qkv);
  const [G = 0, D = 0] = attention.shape;
  expectShape(attention, [G, D, D], "channel_mix attention");
  expectShape(qkv, [tokens, 3 * G * D], "channel_mix qkv");
  expectShape(out, [tokens, G * D], "channel_mix out");
  if (D > MAX_HEAD_WIDTH) {
    throw new Florence2Error(
      "shape_mismatch",
      `channel_mix: attention [${attention.shape}] mixes ${D} channels, expected up to ${MAX_HEAD_WIDTH}`,
    );
  }
  rec.dispatch(channelMixKernel, { qkv, attention, out }, { tokens, groups: G }, { D });
}
