export function meanRowsTwin(
  { x }: { readonly x: Float32Array },
  {
    first_row,
    end_row,
    out_row,
  }: { readonly first_row: number; readonly end_row: number; readonly out_row: number },
  { C }: { readonly C: number },
): void {
  for (let c = 0; c < C; c++) {
    let sum = 0;
    for (let r = first_row; r < end_row; r++) sum += x[r * C + c]!;
    x[out_row * C + c] = sum / (end_row - first_row);
  }
}
