import { Florence2Error } from "../../core/errors.ts";
import { ceilDiv, defineKernel, linearGroups, read, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { expectNormed, type Normed } from "../shared/norm.ts";
import { tileByLanes, tileByMatrices } from "../shared/tile.ts";
import { weights } from "../shared/weights.ts";
import { channelScoresTwin } from "./channel_scores.twin.ts";

/** The most channels of a group: half of a tile has all of them. They are a multiple of four. */
export const MAX_GROUP_WIDTH = 32;
/** Tokens that a workgroup of tiles projects at a time, and as many columns: half of them queries, half keys. */
const TILE = 64;

const includes = [wgsl("kernels/shared/grid.wgsl"), wgsl("kernels/shared/row_statistics.wgsl")];

interface Size {
  readonly tokens: number;
  readonly chunk: number;
  readonly groups: number;
}

const byTile = {
  label: "tile",
  source: wgsl("kernels/channel_scores/channel_scores.tile.wgsl"),
  ...tileByLanes(includes),
  constants: { TILE },
  /** For each chunk of tokens and as many whole groups as half of a tile has channels. */
  groups: ({ tokens, chunk, groups }: Size, { D }: { readonly D: number }) =>
    linearGroups(ceilDiv(tokens, chunk) * ceilDiv(groups, Math.floor(TILE / 2 / D))),
};

export const signature = {
  name: "channel_scores",
  bindings: {
    normed: read,
    norm_weight: read,
    norm_bias: read,
    weight: weights,
    bias: read,
    partials: write,
  },
  params: { tokens: "u32", chunk: "u32", groups: "u32" },
  constants: { D: "u32" },
} as const;

export const channelScoresKernel = defineKernel({
  ...signature,
  variants: [{ ...byTile, ...tileByMatrices(includes) }, byTile],
  twin: channelScoresTwin,
});

/** Workgroups of tiles: enough for a large GPU, and few enough partial sums for fold_channel_attention to add. */
const WORKGROUPS = 256;

/** Tokens whose products one of so many workgroups sums. */
function chunkOf(tokens: number, channels: number, workgroups: number): number {
  const chunks = ceilDiv(workgroups * (TILE / 2), channels);
  return ceilDiv(ceilDiv(tokens, chunks), TILE) * TILE;
}

/**
 * The products QᵀK of channel attention, per group of D channels, over the tokens x (N, C): not yet scaled, and
 * summed over chunks of tokens only, (chunks, G, D, D). Queries and keys are projections of the tokens by the
 * first two thirds of qkv, (3C, C) and (3C), and are kept nowhere. The sum over all tokens is the longest of the
 * model; in two steps it keeps its accuracy. Microsoft's `channel_attn.fn`.
 *
 * @param workgroups among how many chunks are divided; few make long sums, which the CPU engine takes another way
 * @throws {Florence2Error} `shape_mismatch`
 */
export function channelScores(
  rec: Recording,
  x: Normed,
  qkv: { readonly weight: Tensor; readonly bias: Tensor },
  groups: number,
  workgroups = rec.profile.workgroups ?? WORKGROUPS,
): Tensor {
  const [tokens, C] = [rowsOf(x.rows), columnsOf(x.rows)];
  expectNormed(x, "channel_scores x");
  expectShape(qkv.weight, [3 * C, C], "channel_scores qkv weight");
  expectShape(qkv.bias, [3 * C], "channel_scores qkv bias");
  const D = C / groups;
  if (D % 4 !== 0 || D > MAX_GROUP_WIDTH) {
    throw new Florence2Error(
      "shape_mismatch",
      `channel_scores: ${C} channels in ${groups} groups, expected a multiple of four up to ${MAX_GROUP_WIDTH} each`,
    );
  }
  const chunk = chunkOf(tokens, C, workgroups);
  const partials = rec.temp([ceilDiv(tokens, chunk), groups, D, D]);
  rec.dispatch(
    channelScoresKernel,
    {
      normed: x.rows,
      norm_weight: x.norm.weight,
      norm_bias: x.norm.bias,
      weight: qkv.weight,
      bias: qkv.bias,
      partials,
    },
    { tokens, chunk, groups },
    { D },
  );
  return partials;
}
