import { Florence2Error } from "../../core/errors.ts";
import { ceilDiv, defineKernel, linearGroups, read, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, expectShape, type Tensor } from "../../core/tensor.ts";
import { windowAttentionTwin } from "./window_attention.twin.ts";

export const signature = {
  name: "window_attention",
  bindings: { qkv: read, qkv_bias: read, out: write },
  params: { height: "u32", width: "u32", heads: "u32" },
  constants: { D: "u32", WINDOW: "u32" },
} as const;

export const windowAttentionKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/window_attention/window_attention.wgsl"),
      includes: [
        wgsl("kernels/shared/grid.wgsl"),
        wgsl("kernels/shared/masked.wgsl"),
        wgsl("kernels/window_attention/window_attention.map.wgsl"),
      ],
      groups: ({ height, width, heads }, { WINDOW }) =>
        linearGroups(ceilDiv(height, WINDOW) * ceilDiv(width, WINDOW) * heads),
    },
  ],
  twin: windowAttentionTwin,
});

/** The longest side of a window, in tokens: each token has one of at most 256 lanes. */
export const MAX_WINDOW = 16;
/** The most channels of a head: a lane holds a query and its sum in registers. They are a multiple of four. */
export const MAX_HEAD_WIDTH = 64;

/**
 * Attention among the tokens of each window of w x w tokens, per head: softmax(QKᵀ / √D) V, from
 * qkv (HW, 3C) = [q, k, v] into `out` (HW, C). Windows begin at the map's upper left corner. Where the
 * last ones reach over its edge, the model pads the input of its qkv projection with zeros, so that
 * qkv there is the bias: keys and values as real as others. `qkv` may be a band of whole windows.
 * DaViT's spatial window attention, `window_attn.fn` in Microsoft's module.
 *
 * @throws {Florence2Error} `shape_mismatch`
 */
export function windowAttention(
  rec: Recording,
  qkv: Tensor,
  qkvBias: Tensor,
  options: {
    readonly height: number;
    readonly width: number;
    readonly heads: number;
    readonly window: number;
    readonly out: Tensor;
  },
): void {
  const { height, width, heads, window, out } = options;
  const C = columnsOf(out);
  const D = C / heads;
  expectShape(qkv, [height * width, 3 * C], "window_attention qkv");
  expectShape(qkvBias, [3 * C], "window_attention qkvBias");
  expectShape(out, [height * width, C], "window_attention out");
  if (D % 4 !== 0 || D > MAX_HEAD_WIDTH || window > MAX_WINDOW) {
    throw new Florence2Error(
      "shape_mismatch",
      `window_attention: ${heads} heads of ${D} channels in windows of ${window} x ${window} tokens, ` +
        `expected a multiple of four up to ${MAX_HEAD_WIDTH} channels, and up to ${MAX_WINDOW} x ${MAX_WINDOW}`,
    );
  }
  rec.dispatch(
    windowAttentionKernel,
    { qkv, qkv_bias: qkvBias, out },
    { height, width, heads },
    { D, WINDOW: window },
  );
}
