// The few rows of decoding: what counts is how fast weights are read, so they are widened in registers.
import { half_mask, madd, small_halves, sum_of } from "./vector.as";
import { SUMS_BYTES } from "./tile.as";
import { BLOCK, F32, factor_of_halves, GROUP, I8, is_half, least_of, panel_bytes, Q8, span_of, turned_zeros, whole_of } from "./weights.as";

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

/**
 * Sums of the products of `rows` rows with neighbouring panels as they are stored: of each panel 8 a row. Several panels
 * are read at once where registers are enough: memory gives one stream half of what it gives four.
 */
export function add_up_few(
  x: usize,
  stride: usize,
  rows: u32,
  panel: usize,
  panels: u32,
  K: u32,
  format: u32,
  sums: usize,
): void {
  const size = panel_bytes(K, format);
  if (format == F32) add_up(x, stride, rows, panel, size, panels, sums, false);
  else if (is_half(format)) {
    add_up(x, stride, rows, panel, size, panels, sums, true);
    const factor = f32x4.splat(factor_of_halves(format) / FACTOR_OF_ROWS);
    for (const end = sums + panels * rows * SUMS_BYTES; sums < end; sums += 16)
      v128.store(sums, f32x4.mul(v128.load(sums), factor));
  } else {
    for (const last = panel + panels * size; panel < last; panel += size) {
      for (let row: u32 = 0; row < rows; row++, sums += SUMS_BYTES) {
        if (format == I8) of_groups(x + row * stride, panel, K, sums);
        else if (format == Q8) of_blocks(x + row * stride, panel, K, sums, true);
        else of_blocks(x + row * stride, panel, K, sums, false);
      }
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
  size: usize,
  panels: u32,
  sums: usize,
  isHalf: bool,
): void {
  const last = panel + panels * size;
  if (rows == 1) {
    for (; panel + 3 * size < last; panel += 4 * size, sums += 4 * SUMS_BYTES) one(x, panel, size, 4, sums, isHalf);
    for (; panel < last; panel += size, sums += SUMS_BYTES) one(x, panel, size, 1, sums, isHalf);
    return;
  }
  const bytes = rows * SUMS_BYTES;
  if (rows == 2) {
    for (; panel + size < last; panel += 2 * size, sums += 2 * bytes) some(x, stride, 2, panel, size, 2, sums, isHalf);
    if (panel < last) some(x, stride, 2, panel, size, 1, sums, isHalf);
  } else if (rows == 3) {
    for (; panel + size < last; panel += 2 * size, sums += 2 * bytes) some(x, stride, 3, panel, size, 2, sums, isHalf);
    if (panel < last) some(x, stride, 3, panel, size, 1, sums, isHalf);
  } else {
    for (; panel < last; panel += size, sums += bytes) some(x, stride, 4, panel, size, 1, sums, isHalf);
  }
}

/** Four weights of one k, halves times 2^-112. */
// @ts-expect-error: decorator
@inline
function weights_at(at: usize, mask: v128, isHalf: bool): v128 {
  return isHalf ? small_halves(v128.load16x4_s(at), mask) : v128.load(at);
}

/** One row by one panel or four. */
// @ts-expect-error: decorator
@inline
function one(x: usize, panel: usize, size: usize, panels: u32, sums: usize, isHalf: bool): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  const mask = half_mask();
  const half: usize = isHalf ? 8 : 16;
  const size3 = 3 * size;
  for (const end = panel + size; panel < end; panel += 2 * half, x += 4) {
    const factor = v128.load32_splat(x);
    s00 = madd(factor, weights_at(panel, mask, isHalf), s00);
    s01 = madd(factor, weights_at(panel + half, mask, isHalf), s01);
    if (panels > 1) {
      s10 = madd(factor, weights_at(panel + size, mask, isHalf), s10);
      s11 = madd(factor, weights_at(panel + size + half, mask, isHalf), s11);
      s20 = madd(factor, weights_at(panel + 2 * size, mask, isHalf), s20);
      s21 = madd(factor, weights_at(panel + 2 * size + half, mask, isHalf), s21);
      s30 = madd(factor, weights_at(panel + size3, mask, isHalf), s30);
      s31 = madd(factor, weights_at(panel + size3 + half, mask, isHalf), s31);
    }
  }
  store_two(sums, s00, s01);
  if (panels > 1) {
    store_two(sums + SUMS_BYTES, s10, s11);
    store_two(sums + 2 * SUMS_BYTES, s20, s21);
    store_two(sums + 3 * SUMS_BYTES, s30, s31);
  }
}

/** Two to four rows by one panel, or two or three rows by two panels. */
// @ts-expect-error: decorator
@inline
function some(
  x: usize,
  stride: usize,
  rows: u32,
  panel: usize,
  size: usize,
  panels: u32,
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
  // Of the second panel.
  let t00 = s00;
  let t01 = s00;
  let t10 = s00;
  let t11 = s00;
  let t20 = s00;
  let t21 = s00;
  const mask = half_mask();
  const half: usize = isHalf ? 8 : 16;
  const x2 = x + 2 * stride;
  const x3 = x + 3 * stride;
  let k: usize = 0;
  for (const end = panel + size; panel < end; panel += 2 * half, k += 4) {
    const factor0 = v128.load32_splat(x + k);
    const factor1 = v128.load32_splat(x + stride + k);
    const factor2 = rows > 2 ? v128.load32_splat(x2 + k) : factor1;
    const factor3 = rows > 3 ? v128.load32_splat(x3 + k) : factor2;
    let weights = weights_at(panel, mask, isHalf);
    s00 = madd(factor0, weights, s00);
    s10 = madd(factor1, weights, s10);
    if (rows > 2) s20 = madd(factor2, weights, s20);
    if (rows > 3) s30 = madd(factor3, weights, s30);
    weights = weights_at(panel + half, mask, isHalf);
    s01 = madd(factor0, weights, s01);
    s11 = madd(factor1, weights, s11);
    if (rows > 2) s21 = madd(factor2, weights, s21);
    if (rows > 3) s31 = madd(factor3, weights, s31);
    if (panels > 1) {
      weights = weights_at(panel + size, mask, isHalf);
      t00 = madd(factor0, weights, t00);
      t10 = madd(factor1, weights, t10);
      if (rows > 2) t20 = madd(factor2, weights, t20);
      weights = weights_at(panel + size + half, mask, isHalf);
      t01 = madd(factor0, weights, t01);
      t11 = madd(factor1, weights, t11);
      if (rows > 2) t21 = madd(factor2, weights, t21);
    }
  }
  store_two(sums, s00, s01);
  store_two(sums + SUMS_BYTES, s10, s11);
  if (rows > 2) store_two(sums + 2 * SUMS_BYTES, s20, s21);
  if (rows > 3) store_two(sums + 3 * SUMS_BYTES, s30, s31);
  if (panels > 1) {
    sums += rows * SUMS_BYTES;
    store_two(sums, t00, t01);
    store_two(sums + SUMS_BYTES, t10, t11);
    if (rows > 2) store_two(sums + 2 * SUMS_BYTES, t20, t21);
  }
}

// @ts-expect-error: decorator
@inline
function store_two(to: usize, low: v128, high: v128): void {
  v128.store(to, low);
  v128.store(to, high, 16);
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
