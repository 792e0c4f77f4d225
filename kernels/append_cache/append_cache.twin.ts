interface Arrays {
  readonly x: Float32Array;
  readonly position: Uint32Array;
  readonly cache: Float32Array;
}

interface Params {
  readonly rows: number;
  readonly columns: number;
  readonly firstColumn: number;
  readonly d: number;
}

export function appendCacheTwin(
  { x, position, cache }: Arrays,
  { rows, columns, firstColumn, d }: Params,
): void {
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < d; c++) cache[(position[0]! * rows + r) * d + c] = x[r * columns + firstColumn + c]!;
  }
}
