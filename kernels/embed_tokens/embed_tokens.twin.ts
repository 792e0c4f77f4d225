import type { StoredWeights } from "../../core/dtypes/stored_weights.ts";

interface Arrays {
  readonly ids: Uint32Array;
  readonly table: StoredWeights;
  readonly positions: Float32Array;
  readonly position: Uint32Array;
  readonly out: Float32Array;
}

interface Params {
  readonly count: number;
  readonly d: number;
  readonly bandStart: number;
  readonly bandRows: number;
  readonly firstPosition: number;
  readonly advance: number;
  readonly outRow: number;
}

export function embedTokensTwin(
  { ids, table, positions, position, out }: Arrays,
  { count, d, bandStart, bandRows, firstPosition, advance, outRow }: Params,
): void {
  for (let i = 0; i < count; i++) {
    const row = ids[i]! - bandStart;
    if (row < 0 || row >= bandRows) continue;
    const place = firstPosition + position[0]! + i * advance;
    const word = table.values(row * d, d);
    for (let c = 0; c < d; c++) out[(outRow + i) * d + c] = word[c]! + positions[place * d + c]!;
  }
}
