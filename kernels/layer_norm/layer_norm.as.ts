// A unit is some rows (see norm_units).
import { norm_units, normalize_rows } from "../shared/norm.as";

export function layer_norm_units(rows: u32, vectors: u32): u32 {
  return norm_units(rows);
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
  normalize_rows(normed, norm_weight, norm_bias, rows, C, out, begin, end);
}
