interface Arrays {
  readonly q: Float32Array;
  readonly keys: Float32Array;
  readonly values: Float32Array;
  readonly ancestry: Uint32Array;
  readonly position: Uint32Array;
  readonly out: Float32Array;
}

interface Params {
  readonly rows: number;
  readonly columns: number;
  readonly steps: number;
}

export function cachedAttentionTwin(
  { q, keys, values, ancestry, position, out }: Arrays,
  { rows, columns, steps }: Params,
  { D, H }: { readonly D: number; readonly H: number },
): void {
  const d = D * H;
  const seen = position[0]! + 1;
  const scores = new Float64Array(seen);
  for (let r = 0; r < rows; r++) {
    for (let h = 0; h < H; h++) {
      let largest = -Infinity;
      for (let t = 0; t < seen; t++) {
        const key = (t * rows + ancestry[r * steps + t]!) * d + h * D;
        let score = 0;
        for (let c = 0; c < D; c++) score += q[r * columns + h * D + c]! * keys[key + c]!;
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
}
