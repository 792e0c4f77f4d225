import { normalizeRows } from "../shared/norm.ts";

interface Arrays {
  readonly normed: Float32Array;
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly out: Float32Array;
}

export function layerNormTwin({ normed, weight, bias, out }: Arrays): void {
  out.set(normalizeRows(normed, weight, bias));
}
