interface Arrays {
  readonly x: Float32Array;
  readonly row_embeddings: Float32Array;
  readonly column_embeddings: Float32Array;
  readonly temporal: Float32Array;
  readonly out: Float32Array;
}

export function addImagePositionsTwin(
  { x, row_embeddings, column_embeddings, temporal, out }: Arrays,
  { height, width, out_row }: { readonly height: number; readonly width: number; readonly out_row: number },
  { C }: { readonly C: number },
): void {
  const rowC = Math.floor(C / 2);
  const columnC = C - rowC;
  for (let h = 0; h < height; h++) {
    for (let w = 0; w < width; w++) {
      const from = (h * width + w) * C;
      const to = out_row * C + from;
      for (let c = 0; c < C; c++) {
        const position =
          c < columnC ? column_embeddings[w * columnC + c]! : row_embeddings[h * rowC + c - columnC]!;
        out[to + c] = x[from + c]! + position + temporal[c]!;
      }
    }
  }
}
