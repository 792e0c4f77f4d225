import { Florence2Error } from "../../core/errors.ts";
import { ceilDiv, defineKernel, linearGroups, read, update } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { columnsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { CHUNK, channelScoresTwin } from "./channel_scores.twin.ts";

export const channelScoresKernel = defineKernel({
  name: "channel_scores",
  bindings: { qkv: read, partials: update },
  params: { tokens: "u32", first_chunk: "u32", groups: "u32" },
  constants: { D: "u32" },
  variants: [
    {
      label: "portable",
      source: new URL("./channel_scores.wgsl", import.meta.url),
      includes: [new URL("../shared/grid.wgsl", import.meta.url)],
      groups: ({ tokens, groups }) => linearGroups(chunksOf(tokens) * groups),
    },
  ],
  twin: channelScoresTwin,
});

/** The workgroup of a head holds a quarter of its width squared: 256 invocations at this one. */
const MAX_HEAD_WIDTH = 64;

/** How many partial sums `channelScores` makes of so many tokens. */
export function chunksOf(tokens: number): number {
  return ceilDiv(tokens, CHUNK);
}

/** Partial sums (chunks of all bands, G, D, D), and which of them a band fills first. */
export interface ScoreTarget {
  readonly partials: Tensor;
  readonly firstChunk: number;
}

/**
 * The products QᵀK of channel attention, per group of D channels, over the tokens of qkv (N, 3C):
 * not yet scaled, and summed over chunks of tokens only, (chunks, G, D, D). The sum over all tokens
 * is the longest of the model; in two steps it keeps its accuracy, and the tokens can come in bands.
 */
export function channelScores(rec: Recording, qkv: Tensor, groups: number, out?: ScoreTarget): Tensor {
  const tokens = rowsOf(qkv);
  const D = columnsOf(qkv) / 3 / groups;
  if (!Number.isInteger(D) || D > MAX_HEAD_WIDTH) {
    throw new Florence2Error(
      "shape_mismatch",
      `channel_scores: qkv [${qkv.shape}] for ${groups} groups: a group has ${D} channels, ` +
        `expected a whole number up to ${MAX_HEAD_WIDTH}`,
    );
  }
  const partials = out?.partials ?? rec.temp([chunksOf(tokens), groups, D, D]);
  const firstChunk = out?.firstChunk ?? 0;
  const chunks = partials.shape[0] ?? 0;
  expectShape(partials, [chunks, groups, D, D], "channel_scores partials");
  if (firstChunk + chunksOf(tokens) > chunks) {
    throw new Florence2Error(
      "shape_mismatch",
      `channel_scores: ${chunksOf(tokens)} chunks from chunk ${firstChunk} do not fit partials [${partials.shape}]`,
    );
  }
  rec.dispatch(channelScoresKernel, { qkv, partials }, { tokens, first_chunk: firstChunk, groups }, { D });
  return partials;
}
