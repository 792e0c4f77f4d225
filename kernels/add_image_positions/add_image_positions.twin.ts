interface Arrays {
  readonly x: Float32Array;
  readonly row_embeddings: Float32Array;
  readonly column_embeddings: Float32Array;
  readonly temporal: Float32Array;
  readonly out: Float32Array;
}

interface Params {
  readonly height: number;
  readonly width: number;
  readonly out_row: number;
  readonly mean_row: number;
}

export function addImagePositionsTwin(
  { x, row_embeddings, column_embeddings, temporal, out }: Arrays,
  { height, width, out_row, mean_row }: Params,
  { C, HAS_MEAN }: { readonly C: number; readonly HAS_MEAN: number },
): void {
  const rowC = Math.floor(C / 2);
  const columnC = C - rowC;
  for (let c = 0; c < C; c++) {
    let sum = 0;
    for (let h = 0; h < height; h++) {
      for (let w = 0; w < width; w++) {
        const position =
          c < columnC ? column_embeddings[w * columnC + c]! : row_embeddings[h * rowC + c - columnC]!;
        const i = (h * width + w) * C + c;
        out[out_row * C + i] = x[i]! + position + temporal[c]!;
        sum += out[out_row * C + i]!;
      }
    }
    if (HAS_MEAN) out[mean_row * C + c] = sum / (height * width);
  }
}
