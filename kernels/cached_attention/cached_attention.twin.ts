import type { Twin } from "../../core/kernel.ts";
import type { signature } from "./cached_attention.ts";
export const cachedAttentionTwin: Twin<typeof signature> = (
  { qkv, ancestry, position, keys, values, out },
  { rows, steps },
  { D, H },
) => {
  const d = D * H;
  const seen = position[0]! + 1;
  for (let r = 0; r < rows; r++) {
    const start = (position[0]! * rows + r) * d;
    keys.set(qkv.subarray((3 * r + 1) * d, (3 * r + 2) * d), start);
    values.set(qkv.subarray((3 * r + 2) * d, (3 * r + 3) * d), start);
  }
  const scores = new Float64Array(seen);
  for (let r = 0; r < rows; r++) {
    for (let h = 0; h < H; h++) {
      let largest = -Infinity;
      for (let t = 0; t < seen; t++) {
        const key = (t * rows + ancestry[r * steps + t]!) * d + h * D;
        let score = 0;
        for (let c = 0; c < D; c++) score += qkv[r * 3 * d + h * D + c]! * keys[key + c]!;
        scores[t] = score / Math.sqrt(D);
        largest = Math.max(largest, scores[t]!);
      }
      let sum = 0;
      for (let t = 0; t < seen; t++) {
        scores[t] = Math.exp(scores[t]! - largest);
        sum += scores[t]!;
      }
      for (let c = 0; c < D; c++) {
        let mean = 0;
        for (let t = 0; t < seen; t++) {
          mean += (scores[t]! / sum) * values[(t * rows + ancestry[r * steps + t]!) * d + h * D + c]!;
        }
        out[r * d + h * D + c] = mean;
      }
    }
  }
};
