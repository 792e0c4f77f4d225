import type { Twin } from "../../core/kernel.ts";
import type { signature } from "./depthwise_conv.ts";
export const depthwiseConvTwin: Twin<typeof signature> = (
  { x, weight, bias, out },
  { height, width },
  { C },
) => {
  for (let h = 0; h < height; h++) {
    for (let w = 0; w < width; w++) {
      for (let c = 0; c < C; c++) {
        const here = (h * width + w) * C + c;
        let sum = x[here]! + bias[c]!;
        for (let i = -1; i <= 1; i++) {
          if (h + i < 0 || h + i >= height) continue;
          for (let j = -1; j <= 1; j++) {
            if (w + j < 0 || w + j >= width) continue;
            sum += weight[c * 9 + (i + 1) * 3 + (j + 1)]! * x[here + (i * width + j) * C]!;
          }
        }
        out[here] = sum;
      }
    }
  }
};
