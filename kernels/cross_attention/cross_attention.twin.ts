import type { Twin } from "../../core/kernel.ts";
import { normalizeRows } from "../shared/norm.ts";
import type { signature } from "./cross_attention.ts";

export const crossAttentionTwin: Twin<typeof signature> = (
  { normed, norm_weight, norm_bias, query_weight, query_bias, keys_values, lengths, out },
  { rows, rows_per_image, source },
  { D, H },
) => {
  const d = D * H;
  const x = normalizeRows(normed, norm_weight, norm_bias);
  const q = new Float64Array(D);
  const scores = new Float64Array(source);
  for (let r = 0; r < rows; r++) {
    const image = Math.floor(r / rows_per_image);
    const length = lengths[image]!;
    for (let h = 0; h < H; h++) {
      for (let c = 0; c < D; c++) {
        const row = query_weight.values((h * D + c) * d, d);
        q[c] = query_bias[h * D + c]!;
        for (let k = 0; k < d; k++) q[c]! += row[k]! * x[r * d + k]!;
      }
      let largest = -Infinity;
      for (let s = 0; s < length; s++) {
        const key = (image * source + s) * 2 * d + h * D;
        let score = 0;
        for (let c = 0; c < D; c++) score += q[c]! * keys_values[key + c]!;
        scores[s] = score / Math.sqrt(D);
        largest = Math.max(largest, scores[s]!);
      }
      let sum = 0;
      for (let s = 0; s < length; s++) {
        scores[s] = Math.exp(scores[s]! - largest);
        sum += scores[s]!;
      }
      for (let c = 0; c < D; c++) {
        let mean = 0;
        for (let s = 0; s < length; s++) {
          mean += (scores[s]! / sum) * keys_values[(image * source + s) * 2 * d + d + h * D + c]!;
        }
        out[r * d + h * D + c] = mean;
      }
    }
  }
};
