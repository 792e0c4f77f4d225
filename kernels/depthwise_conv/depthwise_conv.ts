import { ceilDiv, defineKernel, linearGroups, read, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, expectShape, type Tensor } from "../../core/tensor.ts";
import { depthwiseConvTwin } from "./depthwise_conv.twin.ts";

/** As in the shader. */
const LANES = 64;
const STRIP = 8;

export const signature = {
  name: "depthwise_conv",
  bindings: { x: read, weight: read, bias: read, out: write },
  params: { height: "u32", width: "u32" },
  constants: { C: "u32" },
} as const;

export const depthwiseConvKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/depthwise_conv/depthwise_conv.wgsl"),
      includes: [wgsl("kernels/shared/grid.wgsl")],
      groups: ({ height, width }, { C }) => linearGroups(ceilDiv(height * ceilDiv(width, STRIP) * C, LANES)),
    },
  ],
  twin: depthwiseConvTwin,
});

/**
 * x + conv(x), where each channel of the map x (HW, C) is convolved with its own 3 x 3 filter and the
 * map is padded with zeros: how DaViT tells its tokens where they are (`conv1.fn.dw`, `conv2.fn.dw`).
 *
 * @throws {Florence2Error} `shape_mismatch`
 */
export function depthwiseConv(
  rec: Recording,
  x: Tensor,
  { weight, bias }: { readonly weight: Tensor; readonly bias: Tensor },
  { height, width }: { readonly height: number; readonly width: number },
): Tensor {
  const C = columnsOf(x);
  expectShape(x, [height * width, C], "depthwise_conv x");
  expectShape(weight, [C, 1, 3, 3], "depthwise_conv weight");
  expectShape(bias, [C], "depthwise_conv bias");
  const out = rec.temp(x.shape);
  rec.dispatch(depthwiseConvKernel, { x, weight, bias, out }, { height, width }, { C });
  return out;
}
