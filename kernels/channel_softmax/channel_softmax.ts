import { defineKernel, linearGroups, read, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { expectShape, type Tensor } from "../../core/tensor.ts";
import { channelSoftmaxTwin } from "./channel_softmax.twin.ts";

export const channelSoftmaxKernel = defineKernel({
  name: "channel_softmax",
  bindings: { partials: read, attention: write },
  params: { chunks: "u32", rows: "u32", scale: "f32" },
  constants: { D: "u32" },
  variants: [
    {
      label: "portable",
      source: new URL("./channel_softmax.wgsl", import.meta.url),
      includes: [new URL("../shared/grid.wgsl", import.meta.url)],
      groups: ({ rows }) => linearGroups(rows),
    },
  ],
  twin: channelSoftmaxTwin,
});

/**
 * The attention matrices (G, D, D) of channel attention: softmax over the last axis of N^-1/2 QᵀK,
 * which `channelScores` left as sums over chunks of the N tokens, (chunks, G, D, D). The scale is
 * that of the tokens, not of the channels.
 */
export function channelSoftmax(rec: Recording, partials: Tensor, tokens: number): Tensor {
  const [chunks = 0, G = 0, D = 0] = partials.shape;
  expectShape(partials, [chunks, G, D, D], "channel_softmax partials");
  const attention = rec.temp([G, D, D]);
  rec.dispatch(
    channelSoftmaxKernel,
    { partials, attention },
    { chunks, rows: G * D, scale: tokens ** -0.5 },
    { D },
  );
  return attention;
}
