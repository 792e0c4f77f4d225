// The few rows of decoding: what counts is how fast weights are read, so they are widened in registers.
import { half_mask, madd, small_halves, sum_of } from "./vector.as";
import { BLOCK, F32, factor_of_halves, GROUP, I8, is_half, least_of, Q8, span_of, turned_zeros, whole_of } from "./weights.as";

/** At most this many rows. */
export const FEW: u32 = 4;

/** Rows times 2^50 by halves times 2^-112 stay far from what f32 cannot hold; powers of two are exact. */
const FACTOR_OF_ROWS: f32 = 1125899906842624;

/**
 * Rows as `add_up_few` takes them: themselves or, beside halves, copies in `to`, which may be the same.
 *
 * @param count of the values of all rows
 */
export function prepare_few(x: usize, count: u32, format: u32, to: usize): usize {
  if (!is_half(format)) return x;
  const factor = f32x4.splat(FACTOR_OF_ROWS);
  for (let at: usize = 0; at < <usize>count * 4; at += 16)
    v128.store(to + at, f32x4.mul(v128.load(x + at), factor));
  return to;
}

/** Sums of the products of `rows` rows with a panel as it is stored, 8 a row. */
export function add_up_few(
  x: usize,
  stride: usize,
  rows: u32,
  panel: usize,
  K: u32,
  format: u32,
  sums: usize,
): void {
  if (format == F32) add_up(x, stride, rows, panel, K, sums, false);
  else if (is_half(format)) {
    add_up(x, stride, rows, panel, K, sums, true);
    const factor = f32x4.splat(factor_of_halves(format) / FACTOR_OF_ROWS);
    for (const end = sums + rows * 32; sums < end; sums += 16)
      v128.store(sums, f32x4.mul(v128.load(sums), factor));
  } else {
    for (let row: u32 = 0; row < rows; row++) {
      if (format == I8) of_groups(x + row * stride, panel, K, sums + row * 32);
      else if (format == Q8) of_blocks(x + row * stride, panel, K, sums + row * 32, true);
      else of_blocks(x + row * stride, panel, K, sums + row * 32, false);
    }
  }
}

// @ts-expect-error: decorator
@inline
function add_up(
  x: usize,
  stride: usize,
  rows: u32,
  panel: usize,
  K: u32,
  sums: usize,
  isHalf: bool,
): void {
  if (rows == 1) one(x, panel, K, sums, isHalf);
  else if (rows == 2) some(x, x + stride, x + stride, x + stride, 2, panel, K, sums, isHalf);
  else if (rows == 3) some(x, x + stride, x + 2 * stride, x + 2 * stride, 3, panel, K, sums, isHalf);
  else some(x, x + stride, x + 2 * stride, x + 3 * stride, 4, panel, K, sums, isHalf);
}

/** One row: even and odd k have sums of their own, which are added in the end. */
// @ts-expect-error: decorator
@inline
function one(x: usize, panel: usize, K: u32, sums: usize, isHalf: bool): void {
  let even0 = f32x4.splat(0);
  let even1 = even0;
  let odd0 = even0;
  let odd1 = even0;
  const mask = half_mask();
  for (const end = x + <usize>K * 4; x < end; x += 8) {
    const even = v128.load32_splat(x);
    const odd = v128.load32_splat(x, 4);
    if (isHalf) {
      even0 = madd(even, small_halves(v128.load16x4_s(panel), mask), even0);
      even1 = madd(even, small_halves(v128.load16x4_s(panel, 8), mask), even1);
      odd0 = madd(odd, small_halves(v128.load16x4_s(panel, 16), mask), odd0);
      odd1 = madd(odd, small_halves(v128.load16x4_s(panel, 24), mask), odd1);
      panel += 32;
    } else {
      even0 = madd(even, v128.load(panel), even0);
      even1 = madd(even, v128.load(panel, 16), even1);
      odd0 = madd(odd, v128.load(panel, 32), odd0);
      odd1 = madd(odd, v128.load(panel, 48), odd1);
      panel += 64;
    }
  }
  v128.store(sums, f32x4.add(even0, odd0));
  v128.store(sums, f32x4.add(even1, odd1), 16);
}

/** Two to four rows. */
// @ts-expect-error: decorator
@inline
function some(
  x0: usize,
  x1: usize,
  x2: usize,
  x3: usize,
  rows: u32,
  panel: usize,
  K: u32,
  sums: usize,
  isHalf: bool,
): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  const mask = half_mask();
  for (let k: usize = 0; k < <usize>K * 4; k += 4) {
    const low = isHalf ? small_halves(v128.load16x4_s(panel), mask) : v128.load(panel);
    const high = isHalf ? small_halves(v128.load16x4_s(panel, 8), mask) : v128.load(panel, 16);
    panel += isHalf ? 16 : 32;
    let factor = v128.load32_splat(x0 + k);
    s00 = madd(factor, low, s00);
    s01 = madd(factor, high, s01);
    factor = v128.load32_splat(x1 + k);
    s10 = madd(factor, low, s10);
    s11 = madd(factor, high, s11);
    if (rows > 2) {
      factor = v128.load32_splat(x2 + k);
      s20 = madd(factor, low, s20);
      s21 = madd(factor, high, s21);
    }
    if (rows > 3) {
      factor = v128.load32_splat(x3 + k);
      s30 = madd(factor, low, s30);
      s31 = madd(factor, high, s31);
    }
  }
  v128.store(sums, s00);
  v128.store(sums, s01, 16);
  v128.store(sums, s10, 32);
  v128.store(sums, s11, 48);
  v128.store(sums, s20, 64);
  v128.store(sums, s21, 80);
  v128.store(sums, s30, 96);
  v128.store(sums, s31, 112);
}

/** One row by weights in blocks: of each block the sums of x and of x * q, which its least and span then scale. */
// @ts-expect-error: decorator
@inline
function of_blocks(x: usize, panel: usize, K: u32, to: usize, isQ8: bool): void {
  let low = f32x4.splat(0);
  let high = low;
  const unit = f32x4.splat(isQ8 ? 1.0 / 256 : 1.0 / 16);
  for (const end = x + <usize>K * 4; x < end; ) {
    const first = v128.load(panel);
    const second = v128.load(panel, 16);
    panel += 32;
    let sum = f32x4.splat(0);
    let low0 = f32x4.splat(0);
    let low1 = low0;
    let high0 = low0;
    let high1 = low0;
    for (const next = x + BLOCK * 4; x < next; x += 16) {
      sum = f32x4.add(sum, v128.load(x));
      let q0: v128;
      let q1: v128;
      if (isQ8) {
        q0 = v128.load(panel);
        q1 = v128.load(panel, 16);
        panel += 32;
      } else {
        const q = v128.load(panel);
        q0 = v128.and(q, i8x16.splat(15));
        q1 = i8x16.shr_u(q, 4);
        panel += 16;
      }
      const mask = i32x4.splat(0xff);
      let factor = v128.load32_splat(x);
      low0 = madd(factor, f32x4.convert_i32x4_s(v128.and(q0, mask)), low0);
      high0 = madd(factor, f32x4.convert_i32x4_s(v128.and(q1, mask)), high0);
      factor = v128.load32_splat(x, 4);
      low1 = madd(factor, f32x4.convert_i32x4_s(v128.and(i32x4.shr_u(q0, 8), mask)), low1);
      high1 = madd(factor, f32x4.convert_i32x4_s(v128.and(i32x4.shr_u(q1, 8), mask)), high1);
      factor = v128.load32_splat(x, 8);
      low0 = madd(factor, f32x4.convert_i32x4_s(v128.and(i32x4.shr_u(q0, 16), mask)), low0);
      high0 = madd(factor, f32x4.convert_i32x4_s(v128.and(i32x4.shr_u(q1, 16), mask)), high0);
      factor = v128.load32_splat(x, 12);
      low1 = madd(factor, f32x4.convert_i32x4_s(i32x4.shr_u(q0, 24)), low1);
      high1 = madd(factor, f32x4.convert_i32x4_s(i32x4.shr_u(q1, 24)), high1);
    }
    const total = f32x4.splat(sum_of(sum));
    low = madd(f32x4.mul(span_of(first), unit), f32x4.add(low0, low1), madd(least_of(first), total, low));
    high = madd(f32x4.mul(span_of(second), unit), f32x4.add(high0, high1), madd(least_of(second), total, high));
  }
  v128.store(to, low);
  v128.store(to, high, 16);
}

/** One row by weights in groups of whole numbers: of each group the sums of x * q, which its scale then multiplies. */
function of_groups(x: usize, panel: usize, K: u32, to: usize): void {
  let low = f32x4.splat(0);
  let high = low;
  for (const end = x + <usize>K * 4; x < end; ) {
    const scales = panel;
    const zeros0 = turned_zeros(v128.load(panel, 32));
    const zeros1 = turned_zeros(v128.load(panel, 48));
    panel += 64;
    let sum0 = f32x4.splat(0);
    let sum1 = sum0;
    for (const next = x + GROUP * 4; x < next; panel += 32) {
      const q0 = v128.load(panel);
      const q1 = v128.load(panel, 16);
      // Of each lane the lowest byte first.
      for (let shift = 24; shift >= 0; shift -= 8, x += 4) {
        const factor = v128.load32_splat(x);
        sum0 = madd(factor, whole_of(q0, shift, zeros0), sum0);
        sum1 = madd(factor, whole_of(q1, shift, zeros1), sum1);
      }
    }
    low = madd(sum0, v128.load(scales), low);
    high = madd(sum1, v128.load(scales, 16), high);
  }
  v128.store(to, low);
  v128.store(to, high, 16);
}
