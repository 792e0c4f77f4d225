interface Arrays {
  readonly qkv: Float32Array;
  readonly attention: Float32Array;
  readonly out: Float32Array;
}

export function channelMixTwin(
  { qkv, attention, out }: Arrays,
  { tokens, groups }: { readonly tokens: number; readonly groups: number },
  { D }: { readonly D: number },
): void {
  const C = groups * D;
  for (let n = 0; n < tokens; n++) {
    for (let g = 0; g < groups; g++) {
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
