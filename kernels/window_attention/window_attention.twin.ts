import type { Twin } from "../../core/kernel.ts";
import type { signature } from "./window_attention.ts";
export const windowAttentionTwin: Twin<typeof signature> = (
  { qkv, qkv_bias, out },
  { height, width, heads },
  { D, WINDOW },
) => {
  const C = heads * D;
  const tokens = WINDOW * WINDOW;
  const keys = new Float64Array(tokens * D);
  const values = new Float64Array(tokens * D);
  const scores = new Float64Array(tokens);
  for (let top = 0; top < height; top += WINDOW) {
    for (let left = 0; left < width; left += WINDOW) {
      for (let head = 0; head < heads; head++) {
        for (let m = 0; m < tokens; m++) {
          const h = top + Math.floor(m / WINDOW);
          const w = left + (m % WINDOW);
          const inside = h < height && w < width;
          const row = inside ? qkv : qkv_bias;
          const start = (inside ? (h * width + w) * 3 * C : 0) + head * D;
          for (let d = 0; d < D; d++) {
            keys[m * D + d] = row[start + C + d]!;
            values[m * D + d] = row[start + 2 * C + d]!;
          }
        }
        for (let h = top; h < Math.min(top + WINDOW, height); h++) {
          for (let w = left; w < Math.min(left + WINDOW, width); w++) {
            const query = (h * width + w) * 3 * C + head * D;
            let highest = -Infinity;
            for (let m = 0; m < tokens; m++) {
              let score = 0;
              for (let d = 0; d < D; d++) score += qkv[query + d]! * keys[m * D + d]!;
              scores[m] = score / Math.sqrt(D);
              highest = Math.max(highest, scores[m]!);
            }
            let total = 0;
            for (let m = 0; m < tokens; m++) {
              scores[m] = Math.exp(scores[m]! - highest);
              total += scores[m]!;
            }
            const start = (h * width + w) * C + head * D;
            for (let d = 0; d < D; d++) {
              let sum = 0;
              for (let m = 0; m < tokens; m++) sum += scores[m]! * values[m * D + d]!;
              out[start + d] = sum / total;
            }
          }
        }
      }
    }
  }
};
