interface Arrays {
  readonly partials: Float32Array;
  readonly attention: Float32Array;
}

export function channelSoftmaxTwin(
  { partials, attention }: Arrays,
  { chunks, rows, scale }: { readonly chunks: number; readonly rows: number; readonly scale: number },
  { D }: { readonly D: number },
): void {
  const scores = new Float64Array(D);
  for (let r = 0; r < rows; r++) {
    let highest = -Infinity;
    for (let d = 0; d < D; d++) {
      let sum = 0;
      for (let chunk = 0; chunk < chunks; chunk++) sum += partials[(chunk * rows + r) * D + d]!;
      scores[d] = sum * scale;
      highest = Math.max(highest, scores[d]!);
    }
    let total = 0;
    for (let d = 0; d < D; d++) total += Math.exp(scores[d]! - highest);
    for (let d = 0; d < D; d++) attention[r * D + d] = Math.exp(scores[d]! - highest) / total;
  }
}
