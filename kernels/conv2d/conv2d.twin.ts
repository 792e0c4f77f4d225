import type { Twin } from "../../core/kernel.ts";
import { normalizeRows } from "../shared/norm.ts";
import type { signature } from "./conv2d.ts";

export const conv2dTwin: Twin<typeof signature> = (
  { normed, norm_weight, norm_bias, weight, bias, out },
  { height, width, out_height, out_width, channels, outputs },
  { KERNEL, STRIDE, PADDING, HAS_NORM },
) => {
  const x = HAS_NORM ? normalizeRows(normed, norm_weight, norm_bias) : normed;
  const taps = KERNEL * KERNEL;
  const filters = weight.values(0, outputs * channels * taps);
  for (let outH = 0; outH < out_height; outH++) {
    for (let outW = 0; outW < out_width; outW++) {
      const top = outH * STRIDE - PADDING;
      const left = outW * STRIDE - PADDING;
      for (let o = 0; o < outputs; o++) {
        let sum = bias[o]!;
        for (let i = 0; i < KERNEL; i++) {
          if (top + i < 0 || top + i >= height) continue;
          for (let j = 0; j < KERNEL; j++) {
            if (left + j < 0 || left + j >= width) continue;
            const pixel = ((top + i) * width + left + j) * channels;
            const tap = (o * taps + i * KERNEL + j) * channels;
            for (let c = 0; c < channels; c++) sum += x[pixel + c]! * filters[tap + c]!;
          }
        }
        out[(outH * out_width + outW) * outputs + o] = sum;
      }
    }
  }
};
