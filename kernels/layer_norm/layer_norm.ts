import { ceilDiv, defineKernel, linearGroups, read, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, rowsOf, type Tensor } from "../../core/tensor.ts";
import { expectNormed, type Normed } from "../shared/norm.ts";
import { layerNormTwin } from "./layer_norm.twin.ts";

export const signature = {
  name: "layer_norm",
  bindings: { normed: read, norm_weight: read, norm_bias: read, out: write },
  params: { rows: "u32", vectors: "u32" },
  constants: {},
} as const;

export const layerNormKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/layer_norm/layer_norm.wgsl"),
      includes: [
        wgsl("kernels/shared/grid.wgsl"),
        wgsl("kernels/shared/row_statistics.wgsl"),
        wgsl("kernels/shared/reduce.wgsl"),
      ],
      groups: ({ rows }) => linearGroups(ceilDiv(rows, 4)),
    },
  ],
  twin: layerNormTwin,
});

/**
 * (x - mean(x)) / √(variance(x) + 1e-5) · weight + bias along the last axis of the rows (N, C), C a multiple of four;
 * returns (N, C). A copy, for kernels that do not normalise as they read (`torch.nn.LayerNorm`).
 *
 * @throws {Florence2Error} `shape_mismatch`
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
