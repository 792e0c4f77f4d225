import { madd, sum_of } from "./vector.as";

const EPSILON: f32 = 1e-5;

/** The mean of a row of C values, a multiple of four. */
export function mean_of(row: usize, C: u32): f32 {
  let sum = f32x4.splat(0);
  for (let at = row, end = row + <usize>C * 4; at < end; at += 16) sum = f32x4.add(sum, v128.load(at));
  return sum_of(sum) / <f32>C;
}

/** 1 / the standard deviation of a row around its mean. */
export function scale_of(row: usize, C: u32, mean: f32): f32 {
  let squares = f32x4.splat(0);
  for (let at = row, end = row + <usize>C * 4; at < end; at += 16) {
    const away = f32x4.sub(v128.load(at), f32x4.splat(mean));
    squares = madd(away, away, squares);
  }
  return 1 / sqrt<f32>(sum_of(squares) / <f32>C + EPSILON);
}

/** A row of C values, a multiple of four, to mean 0 and variance 1, scaled and shifted: layer norm. */
export function normalize_row(row: usize, weight: usize, bias: usize, C: u32, out: usize): void {
  const mean = mean_of(row, C);
  const scale = scale_of(row, C, mean);
  for (let c: usize = 0; c < <usize>C * 4; c += 16) {
    const standard = f32x4.mul(f32x4.sub(v128.load(row + c), f32x4.splat(mean)), f32x4.splat(scale));
    v128.store(out + c, madd(standard, v128.load(weight + c), v128.load(bias + c)));
  }
}

/** Rows that a unit normalises. */
export const NORM_ROWS: u32 = 16;

/** Units of `normalize_rows`. */
export function norm_units(rows: u32): u32 {
  return (rows + NORM_ROWS - 1) / NORM_ROWS;
}

/** Normalises the rows of units `begin` to `end`, of `rows` rows of C values, into the same places of `out`. */
export function normalize_rows(
  normed: usize,
  weight: usize,
  bias: usize,
  rows: u32,
  C: u32,
  out: usize,
  begin: u32,
  end: u32,
): void {
  const last = min(end * NORM_ROWS, rows);
  for (let row = begin * NORM_ROWS; row < last; row++) {
    const at = <usize>row * <usize>C * 4;
    normalize_row(normed + at, weight, bias, C, out + at);
  }
}
