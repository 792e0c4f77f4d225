import { defineKernel, linearGroups, read, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { columnsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { layerNormTwin } from "./layer_norm.twin.ts";

export const layerNormKernel = defineKernel({
  name: "layer_norm",
  bindings: { x: read, weight: read, bias: read, out: write },
  params: { rows: "u32", eps: "f32" },
  constants: { C: "u32" },
  variants: [
    {
      label: "portable",
      source: new URL("./layer_norm.wgsl", import.meta.url),
      includes: [new URL("../shared/grid.wgsl", import.meta.url)],
      groups: ({ rows }) => linearGroups(rows),
    },
  ],
  twin: layerNormTwin,
});

/** The learned scale and shift of a normalisation: both (C). */
export interface Affine {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** The same in every released model (PyTorch's default). */
const EPSILON = 1e-5;

/** Normalises the last axis of x (..., C) to mean 0 and variance 1, then scales and shifts it. */
export function layerNorm(rec: Recording, x: Tensor, { weight, bias }: Affine): Tensor {
  const C = columnsOf(x);
  expectShape(weight, [C], "layer_norm weight");
  expectShape(bias, [C], "layer_norm bias");
  const out = rec.temp(x.shape);
  rec.dispatch(layerNormKernel, { x, weight, bias, out }, { rows: rowsOf(x), eps: EPSILON }, { C });
  return out;
}
