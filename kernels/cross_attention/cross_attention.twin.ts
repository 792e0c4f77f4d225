import type { StoredWeights } from "../../core/dtypes/stored_weights.ts";
import { normalizeRows } from "../shared/norm.ts";

interface Arrays {
  readonly normed: Float32Array;
  readonly norm_weight: Float32Array;
  readonly norm_bias: Float32Array;
  readonly query_weight: StoredWeights;
  readonly query_bias: Float32Array;
  readonly keysValues: Float32Array;
  readonly lengths: Uint32Array;
  readonly out: Float32Array;
}

interface Params {
  readonly rows: number;
  readonly rowsPerPicture: number;
  readonly source: number;
}

export function crossAttentionTwin(
  { normed, norm_weight, norm_bias, query_weight, query_bias, keysValues, lengths, out }: Arrays,
  { rows, rowsPerPicture, source }: Params,
  { D, H }: { readonly D: number; readonly H: number },
): void {
  const d = D * H;
  const x = normalizeRows(normed, norm_weight, norm_bias);
  const q = new Float64Array(D);
  const scores = new Float64Array(source);
  for (let r = 0; r < rows; r++) {
    const picture = Math.floor(r / rowsPerPicture);
    const length = lengths[picture]!;
    for (let h = 0; h < H; h++) {
      for (let c = 0; c < D; c++) {
        const row = query_weight.values((h * D + c) * d, d);
        q[c] = query_bias[h * D + c]!;
        for (let k = 0; k < d; k++) q[c]! += row[k]! * x[r * d + k]!;
      }
      let largest = -Infinity;
      for (let s = 0; s < length; s++) {
        const key = (picture * source + s) * 2 * d + h * D;
        let score = 0;
        for (let c = 0; c < D; c++) score += q[c]! * keysValues[key + c]!;
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
          mean += (scores[s]! / sum) * keysValues[(picture * source + s) * 2 * d + d + h * D + c]!;
        }
        out[r * d + h * D + c] = mean;
      }
    }
  }
}
