import { ceilDiv, defineKernel, linearGroups, read, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { columnsOf, rowsOf, type Tensor } from "../../core/tensor.ts";
import { expectNormed, type Normed } from "../shared/norm.ts";
import { overLanes } from "../shared/over_lanes.ts";
import { layerNormTwin } from "./layer_norm.twin.ts";

export const layerNormKernel = defineKernel({
  name: "layer_norm",
  bindings: { normed: read, norm_weight: read, norm_bias: read, out: write },
  params: { rows: "u32", vectors: "u32" },
  constants: {},
  variants: overLanes({
    source: new URL("./layer_norm.wgsl", import.meta.url),
    includes: [
      new URL("../shared/grid.wgsl", import.meta.url),
      new URL("../shared/row_statistics.wgsl", import.meta.url),
    ],
    groups: ({ rows }: { readonly rows: number }) => linearGroups(ceilDiv(rows, 4)),
  }),
  twin: layerNormTwin,
});

/**
 * The normalised copy, for readers that do not normalise on the way: mean 0 and
 * variance 1 along the last axis.
 */
export function layerNorm(rec: Recording, { rows, norm }: Normed): Tensor {
  expectNormed({ rows, norm }, "layer_norm");
  const out = rec.temp(rows.shape);
  rec.dispatch(
    layerNormKernel,
    { normed: rows, norm_weight: norm.weight, norm_bias: norm.bias, out },
    { rows: rowsOf(rows), vectors: columnsOf(rows) / 4 },
    {},
  );
  return out;
}
