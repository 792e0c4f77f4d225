import type { StoredWeights } from "../../core/dtypes/stored_weights.ts";
import { normalizeRows } from "../shared/norm.ts";

interface Arrays {
  readonly normed: Float32Array;
  readonly norm_weight: Float32Array;
  readonly norm_bias: Float32Array;
  readonly weight: StoredWeights;
  readonly bias: Float32Array;
  readonly partials: Float32Array;
}

interface Params {
  readonly tokens: number;
  readonly chunk: number;
  readonly groups: number;
}

export function channelScoresTwin(
  { normed, norm_weight, norm_bias, weight, bias, partials }: Arrays,
  { tokens, chunk, groups }: Params,
  { D }: { readonly D: number },
): void {
  const C = groups * D;
  const x = normalizeRows(normed, norm_weight, norm_bias);
  const queriesKeys = new Float64Array(2 * C);
  const projection = weight.values(0, 2 * C * C);
  partials.fill(0);
  for (let t = 0; t < tokens; t++) {
    for (let n = 0; n < 2 * C; n++) {
      let sum = bias[n]!;
      for (let c = 0; c < C; c++) sum += projection[n * C + c]! * x[t * C + c]!;
      queriesKeys[n] = sum;
    }
    const first = Math.floor(t / chunk) * C * D;
    for (let c = 0; c < C; c++) {
      const group = c - (c % D);
      for (let d = 0; d < D; d++)
        partials[first + c * D + d]! += queriesKeys[c]! * queriesKeys[C + group + d]!;
    }
  }
}
