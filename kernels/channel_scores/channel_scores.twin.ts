interface Arrays {
  readonly qkv: Float32Array;
  readonly partials: Float32Array;
}

/** Tokens whose products are summed into one partial result, here and in the shader. */
export const CHUNK = 128;

export function channelScoresTwin(
  { qkv, partials }: Arrays,
  {
    tokens,
    first_chunk,
    groups,
  }: { readonly tokens: number; readonly first_chunk: number; readonly groups: number },
  { D }: { readonly D: number },
): void {
  const C = groups * D;
  for (let chunk = 0; chunk * CHUNK < tokens; chunk++) {
    const end = Math.min((chunk + 1) * CHUNK, tokens);
    for (let g = 0; g < groups; g++) {
      for (let c = 0; c < D; c++) {
        for (let d = 0; d < D; d++) {
          let sum = 0;
          for (let n = chunk * CHUNK; n < end; n++) {
            sum += qkv[n * 3 * C + g * D + c]! * qkv[n * 3 * C + C + g * D + d]!;
          }
          partials[(((first_chunk + chunk) * groups + g) * D + c) * D + d] = sum;
        }
      }
    }
  }
}
