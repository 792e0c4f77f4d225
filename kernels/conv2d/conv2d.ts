import { Florence2Error } from "../../core/errors.ts";
import { defineKernel, read, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { expectShape, type Tensor } from "../../core/tensor.ts";
import { convolvedSide } from "../shared/convolved_side.ts";
import { expectNormed, type Normed, unwrap } from "../shared/norm.ts";
import { tileVariants } from "../shared/tile.ts";
import { weights } from "../shared/weights.ts";
import { conv2dTwin } from "./conv2d.twin.ts";

const includes = [
  wgsl("kernels/shared/grid.wgsl"),
  wgsl("kernels/shared/row_statistics.wgsl"),
  wgsl("kernels/conv2d/conv2d.map.wgsl"),
];

interface Size {
  readonly out_height: number;
  readonly out_width: number;
  readonly outputs: number;
}

export const signature = {
  name: "conv2d",
  bindings: { normed: read, norm_weight: read, norm_bias: read, weight: weights, bias: read, out: write },
  params: {
    height: "u32",
    width: "u32",
    out_height: "u32",
    out_width: "u32",
    channels: "u32",
    outputs: "u32",
  },
  constants: { KERNEL: "u32", STRIDE: "u32", PADDING: "u32", HAS_NORM: "u32" },
} as const;

export const conv2dKernel = defineKernel({
  ...signature,
  variants: tileVariants({
    source: wgsl("kernels/conv2d/conv2d.tile.wgsl"),
    includes,
    productOf: ({ out_height, out_width, outputs }: Size) => ({ M: out_height * out_width, N: outputs }),
  }),
  twin: conv2dTwin,
});

export interface ConvGeometry {
  readonly height: number;
  readonly width: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

/**
 * A convolution of tokens x (HW, C) with square filters (O, k, k, C), bias (O), and zeros around the map; as in
 * PyTorch, filters are not flipped. Tokens may be read through their layer norm, before the zeros come. Gives tokens
 * (outH outW, O), with outH = floor((H + 2 padding - k) / stride) + 1: DaViT's patch embedding, `convs.*.proj`.
 *
 * @throws {Florence2Error} `shape_mismatch`
 */
export function conv2d(
  rec: Recording,
  x: Tensor | Normed,
  { weight, bias }: { readonly weight: Tensor; readonly bias: Tensor },
  { height, width, kernel, stride, padding }: ConvGeometry,
): Tensor {
  const [O = 0, , , C = 0] = weight.shape;
  expectShape(weight, [O, kernel, kernel, C], "conv2d weight");
  expectShape(bias, [O], "conv2d bias");
  const { rows: source, norm } = unwrap(x);
  expectShape(source, [height * width, C], "conv2d x");
  if (C % 4 !== 0) {
    throw new Florence2Error(
      "shape_mismatch",
      `conv2d: x [${source.shape}], expected a multiple of four columns`,
    );
  }
  if (norm) expectNormed({ rows: source, norm }, "conv2d x");
  const outHeight = convolvedSide(height, { kernel, stride, padding });
  const outWidth = convolvedSide(width, { kernel, stride, padding });
  if (outHeight < 1 || outWidth < 1) {
    throw new Florence2Error(
      "shape_mismatch",
      `conv2d: filters of ${kernel} x ${kernel} do not fit into ${width} x ${height} pixels with ${padding} around`,
      { height, width, kernel, padding },
    );
  }
  const out = rec.temp([outHeight * outWidth, O]);
  rec.dispatch(
    conv2dKernel,
    // An absent tensor is bound to another one, which is then not read.
    {
      normed: source,
      norm_weight: norm?.weight ?? source,
      norm_bias: norm?.bias ?? source,
      weight,
      bias,
      out,
    },
    { height, width, out_height: outHeight, out_width: outWidth, channels: C, outputs: O },
    { KERNEL: kernel, STRIDE: stride, PADDING: padding, HAS_NORM: norm ? 1 : 0 },
  );
  return out;
}
