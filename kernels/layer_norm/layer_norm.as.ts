// A unit is ROWS rows.
import { normalize_row } from "../shared/norm.as";

const ROWS: u32 = 16;

export function layer_norm_units(rows: u32, vectors: u32): u32 {
  return (rows + ROWS - 1) / ROWS;
}

export function layer_norm(
  normed: usize,
  norm_weight: usize,
  norm_bias: usize,
  out: usize,
  rows: u32,
  vectors: u32,
  begin: u32,
  end: u32,
): void {
  const C = 4 * vectors;
  const last = min(end * ROWS, rows);
  for (let row = begin * ROWS; row < last; row++) {
    const at = <usize>row * <usize>C * 4;
    normalize_row(normed + at, norm_weight, norm_bias, C, out + at);
  }
}
