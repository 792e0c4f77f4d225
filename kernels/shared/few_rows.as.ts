// The few rows of decoding: what counts is how fast weights are read, so they are widened in registers.
import { madd, sum_of, widen_high, widen_low } from "./vector.as";
import { BLOCK, F16, F32, GROUP, I8, least_of, Q8, span_of } from "./weights.as";

/** At most this many rows. */
export const FEW: u32 = 4;

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
  if (format == F32) {
    if (rows == 1) one(x, panel, K, sums, false);
    else if (rows == 2) some(x, x + stride, x + stride, x + stride, 2, panel, K, sums, false);
    else if (rows == 3) some(x, x + stride, x + 2 * stride, x + 2 * stride, 3, panel, K, sums, false);
    else some(x, x + stride, x + 2 * stride, x + 3 * stride, 4, panel, K, sums, false);
  } else if (format == F16) {
    if (rows == 1) one(x, panel, K, sums, true);
    else if (rows == 2) some(x, x + stride, x + stride, x + stride, 2, panel, K, sums, true);
    else if (rows == 3) some(x, x + stride, x + 2 * stride, x + 2 * stride, 3, panel, K, sums, true);
    else some(x, x + stride, x + 2 * stride, x + 3 * stride, 4, panel, K, sums, true);
  } else {
    for (let row: u32 = 0; row < rows; row++) {
      if (format == I8) of_groups(x + row * stride, panel, K, sums + row * 32);
      else if (format == Q8) of_blocks(x + row * stride, panel, K, sums + row * 32, true);
      else of_blocks(x + row * stride, panel, K, sums + row * 32, false);
    }
  }
}

/** One row: four k at a time, each with sums of its own, which are added in the end. */
// @ts-expect-error: decorator
@inline
function one(x: usize, panel: usize, K: u32, sums: usize, isHalf: bool): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let b0 = a0;
  let b1 = a0;
  let c0 = a0;
  let c1 = a0;
  let d0 = a0;
  let d1 = a0;
  for (const end = x + <usize>K * 4; x < end; x += 16) {
    if (isHalf) {
      let halves = v128.load(panel);
      let factor = v128.load32_splat(x);
      a0 = madd(factor, widen_low(halves), a0);
      a1 = madd(factor, widen_high(halves), a1);
      halves = v128.load(panel, 16);
      factor = v128.load32_splat(x, 4);
      b0 = madd(factor, widen_low(halves), b0);
      b1 = madd(factor, widen_high(halves), b1);
      halves = v128.load(panel, 32);
      factor = v128.load32_splat(x, 8);
      c0 = madd(factor, widen_low(halves), c0);
      c1 = madd(factor, widen_high(halves), c1);
      halves = v128.load(panel, 48);
      factor = v128.load32_splat(x, 12);
      d0 = madd(factor, widen_low(halves), d0);
      d1 = madd(factor, widen_high(halves), d1);
      panel += 64;
    } else {
      let factor = v128.load32_splat(x);
      a0 = madd(factor, v128.load(panel), a0);
      a1 = madd(factor, v128.load(panel, 16), a1);
      factor = v128.load32_splat(x, 4);
      b0 = madd(factor, v128.load(panel, 32), b0);
      b1 = madd(factor, v128.load(panel, 48), b1);
      factor = v128.load32_splat(x, 8);
      c0 = madd(factor, v128.load(panel, 64), c0);
      c1 = madd(factor, v128.load(panel, 80), c1);
      factor = v128.load32_splat(x, 12);
      d0 = madd(factor, v128.load(panel, 96), d0);
      d1 = madd(factor, v128.load(panel, 112), d1);
      panel += 128;
    }
  }
  v128.store(sums, f32x4.add(f32x4.add(a0, b0), f32x4.add(c0, d0)));
  v128.store(sums, f32x4.add(f32x4.add(a1, b1), f32x4.add(c1, d1)), 16);
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
  for (let k: usize = 0; k < <usize>K * 4; k += 4) {
    let low: v128;
    let high: v128;
    if (isHalf) {
      const halves = v128.load(panel);
      low = widen_low(halves);
      high = widen_high(halves);
      panel += 16;
    } else {
      low = v128.load(panel);
      high = v128.load(panel, 16);
      panel += 32;
    }
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
    panel += 64;
    let sum0 = f32x4.splat(0);
    let sum1 = sum0;
    for (const next = x + GROUP * 4; x < next; panel += 32) {
      const q0 = v128.load(panel);
      const q1 = v128.load(panel, 16);
      // Of each lane the lowest byte first.
      for (let shift = 24; shift >= 0; shift -= 8, x += 4) {
        const factor = v128.load32_splat(x);
        sum0 = madd(factor, f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(q0, shift), 24)), sum0);
        sum1 = madd(factor, f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(q1, shift), 24)), sum1);
      }
    }
    low = madd(sum0, v128.load(scales), low);
    high = madd(sum1, v128.load(scales, 16), high);
  }
  v128.store(to, low);
  v128.store(to, high, 16);
}
