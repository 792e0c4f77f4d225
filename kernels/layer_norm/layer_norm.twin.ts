interface Arrays {
  readonly x: Float32Array;
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly out: Float32Array;
}

export function layerNormTwin(
  { x, weight, bias, out }: Arrays,
  { rows, eps }: { readonly rows: number; readonly eps: number },
  { C }: { readonly C: number },
): void {
  for (let r = 0; r < rows; r++) {
    let mean = 0;
    for (let c = 0; c < C; c++) mean += x[r * C + c]! / C;
    let variance = 0;
    for (let c = 0; c < C; c++) variance += (x[r * C + c]! - mean) ** 2 / C;
    const scale = 1 / Math.sqrt(variance + eps);
    for (let c = 0; c < C; c++) out[r * C + c] = (x[r * C + c]! - mean) * scale * weight[c]! + bias[c]!;
  }
}
