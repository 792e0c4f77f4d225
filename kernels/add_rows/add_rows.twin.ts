interface Arrays {
  readonly x: Float32Array;
  readonly table: Float32Array;
  readonly out: Float32Array;
}

export function addRowsTwin(
  { x, table, out }: Arrays,
  { count, first }: { readonly count: number; readonly first: number },
): void {
  for (let i = 0; i < count; i++) out[i] = x[i]! + table[first + i]!;
}
