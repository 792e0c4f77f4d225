import { normalizeRows } from "../shared/norm.ts";

interface Arrays {
  readonly normed: Float32Array;
  readonly norm_weight: Float32Array;
  readonly norm_bias: Float32Array;
  readonly out: Float32Array;
}

export function layerNormTwin({ normed, norm_weight, norm_bias, out }: Arrays): void {
  out.set(normalizeRows(normed, norm_weight, norm_bias));
}
