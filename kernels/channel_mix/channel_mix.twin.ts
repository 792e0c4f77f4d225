interface Arrays {
  readonly qkv: Float32Array;
  readonly attention: Float32Array;
  readonly out: Float32Array;
}

export function channelMixTwin(
  { qkv, attention, out }: Arrays,
  { tokens }: { readonly tokens: number },
  { G, D }: { readonly G: number; readonly D: number },
): void {
  const C = G * D;
  for (let n = 0; n < tokens; n++) {
    for (let g = 0; g < G; g++) {
      const v = n * 3 * C + 2 * C + g * D;
      for (let c = 0; c < D; c++) {
        const row = (g * D + c) * D;
        let sum = 0;
        for (let d = 0; d < D; d++) sum += attention[row + d]! * qkv[v + d]!;
        out[n * C + g * D + c] = sum;
      }
    }
  }
}
