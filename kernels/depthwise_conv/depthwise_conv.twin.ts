interface Arrays {
  readonly x: Float32Array;
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly out: Float32Array;
}

export function depthwiseConvTwin(
  { x, weight, bias, out }: Arrays,
  { height, width }: { readonly height: number; readonly width: number },
  { C }: { readonly C: number },
): void {
  for (let h = 0; h < height; h++) {
    for (let w = 0; w < width; w++) {
      for (let c = 0; c < C; c++) {
        const here = (h * width + w) * C + c;
        let sum = x[here]! + bias[c]!;
        for (let i = -1; i <= 1; i++) {
          if (h + i < 0 || h + i >= height) continue;
          for (let j = -1; j <= 1; j++) {
            if (w + j < 0 || w + j >= width) continue;
            sum += weight[c * 9 + (i + 1) * 3 + (j + 1)]! * x[here + (i * width + j) * C]!;
          }
        }
        out[here] = sum;
      }
    }
  }
}
