// Products in whole numbers: 8-bit weights by rows that are quantised to 8 bits as they come (core/dtypes/integers.ts).
//
// A quantised row has for each GROUP of 64 k the scale; a word with the zero point in its lower half, and in its upper
// half the sum of q - zero; and the 64 q: x = scale * (q - zero). Zero points and q are stored plus LEAST_BYTE
// (vector.as.ts). Panels are as weights.as.ts says, I8. All sums of a group are whole and exact; groups are added up in
// f32, in order, without fused multiply-adds: results are the same on every machine.
import { dot_bytes, LEAST_BYTE } from "./vector.as";
import { SUMS_BYTES } from "./tile.as";
import { GROUP, GROUP_PANEL_BYTES, I8, panel_bytes } from "./weights.as";

/** Bytes of a group of a quantised row. */
const GROUP_BYTES: usize = 72;
/** Rows of a tile: it may read, and not use, so many rows less one behind the last one. */
export const INTEGER_TILE_ROWS: u32 = 6;

/** Bytes of a quantised row of K values. */
// @ts-expect-error: decorator
@inline
export function integer_row_bytes(K: u32): usize {
  return <usize>(K / GROUP) * GROUP_BYTES;
}

/** Bytes of so many quantised rows, with room for reading a whole tile from the last one on. */
export function integer_rows_bytes(rows: u32, K: u32): usize {
  return <usize>(rows + INTEGER_TILE_ROWS) * integer_row_bytes(K);
}

const MOST: f32 = 255;
/** A span below this is none: its reciprocal would overflow. */
const LEAST_SPAN: f32 = 1e-30;

/** 1.5 * 2^23: the bits of a sum with it, less its own, are the nearest whole number, of two the even one. */
const ROUNDER: f32 = 12_582_912;
const ROUNDER_BITS: i32 = 0x4b40_0000;

/** Quantises a row of K values, a multiple of GROUP. */
export function quantize_row(x: usize, K: u32, to: usize): void {
  const rounder = f32x4.splat(ROUNDER);
  for (const end = x + <usize>K * 4; x < end; x += GROUP * 4, to += GROUP_BYTES) {
    // 0 is on the grid.
    let lows = i32x4.splat(0);
    let highs = lows;
    for (let at: usize = 0; at < GROUP * 4; at += 32) {
      const a = in_order(v128.load(x + at));
      const b = in_order(v128.load(x + at, 16));
      lows = i32x4.min_s(lows, i32x4.min_s(a, b));
      highs = i32x4.max_s(highs, i32x4.max_s(a, b));
    }
    const low = f32x4.extract_lane(in_order(least_of(lows)), 0);
    const span = f32x4.extract_lane(in_order(most_of(highs)), 0) - low;
    const per_unit: f32 = span < LEAST_SPAN ? 0 : MOST / span;
    const zero = reinterpret<i32>(-low * per_unit + ROUNDER) - ROUNDER_BITS;
    store<f32>(to, span / MOST);
    const factor = f32x4.splat(per_unit);
    const offset = i32x4.splat(zero - ROUNDER_BITS);
    let sums = i16x8.splat(0);
    for (let i: usize = 0; i < GROUP; i += 16) {
      const from = x + i * 4;
      const a = i32x4.add(f32x4.add(f32x4.mul(v128.load(from), factor), rounder), offset);
      const b = i32x4.add(f32x4.add(f32x4.mul(v128.load(from, 16), factor), rounder), offset);
      const c = i32x4.add(f32x4.add(f32x4.mul(v128.load(from, 32), factor), rounder), offset);
      const d = i32x4.add(f32x4.add(f32x4.mul(v128.load(from, 48), factor), rounder), offset);
      // Narrowing ends at 0 and at 255.
      const q = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
      sums = i16x8.add(sums, i16x8.extadd_pairwise_i8x16_u(q));
      v128.store(to + i, i8x16.add(q, i8x16.splat(<i8>LEAST_BYTE)), 8);
    }
    store<u16>(to, zero + LEAST_BYTE, 4);
    store<u16>(to, sum_of_halves(sums) - zero * GROUP, 6);
  }
}

/** The sum of eight. */
// @ts-expect-error: decorator
@inline
function sum_of_halves(halves: v128): i32 {
  const fours = i32x4.dot_i16x8_s(halves, i16x8.splat(1));
  const pairs = i32x4.add(fours, i32x4.shuffle(fours, fours, 2, 3, 0, 1));
  return i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1);
}

/** Of the bits of f32, whole numbers in the same order, and the bits of such numbers. NaN come first or last. */
// @ts-expect-error: decorator
@inline
function in_order(bits: v128): v128 {
  return v128.xor(bits, i32x4.shr_u(i32x4.shr_s(bits, 31), 1));
}

/** The least of four, in each place. */
// @ts-expect-error: decorator
@inline
function least_of(values: v128): v128 {
  const pairs = i32x4.min_s(values, i32x4.shuffle(values, values, 2, 3, 0, 1));
  return i32x4.min_s(pairs, i32x4.shuffle(pairs, pairs, 1, 0, 3, 2));
}

/** The largest of four, in each place. */
// @ts-expect-error: decorator
@inline
function most_of(values: v128): v128 {
  const pairs = i32x4.max_s(values, i32x4.shuffle(values, values, 2, 3, 0, 1));
  return i32x4.max_s(pairs, i32x4.shuffle(pairs, pairs, 1, 0, 3, 2));
}

/** Sums of the products of quantised rows with neighbouring panels: of each panel 8 a row. */
export function add_up_integers(
  x: usize,
  stride: usize,
  rows: u32,
  panel: usize,
  panels: u32,
  K: u32,
  sums: usize,
): void {
  const size = panel_bytes(K, I8);
  const last = panel + panels * size;
  if (rows == 1)
    for (; panel + 3 * size < last; panel += 4 * size, sums += 4 * SUMS_BYTES) four_panels(x, panel, size, K, sums);
  for (; panel < last; panel += size, sums += rows * SUMS_BYTES) {
    for (let row: u32 = 0; row < rows; row += INTEGER_TILE_ROWS) {
      const height = min(INTEGER_TILE_ROWS, rows - row);
      const at = x + row * stride;
      const to = sums + row * SUMS_BYTES;
      if (height > 4) six_rows(at, stride, panel, K, to);
      else if (height > 1) four_rows(at, stride, panel, K, to);
      else one_row(at, panel, K, to);
    }
  }
}

/**
 * The zero points' part of a group's sums, which are then added to: with p of the row, q of the weights, and their zero
 * points, the sum of (p - of_p) * (q - of_q) is that of p * q, less of_p * (sum of q), less of_q * (sum of p - of_p).
 */
// @ts-expect-error: decorator
@inline
function begin(sums: v128, x: usize): v128 {
  return i32x4.dot_i16x8_s(sums, v128.load32_splat(x, 4));
}

/** Adds a group's sums, scaled, to those of the groups before. */
// @ts-expect-error: decorator
@inline
function finish(sum: v128, scales: v128, x: usize, at: usize): void {
  const scaled = f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(sum), scales), v128.load32_splat(x));
  v128.store(at, f32x4.add(v128.load(at), scaled));
}

function six_rows(x: usize, stride: usize, panel: usize, K: u32, sums: usize): void {
  memory.fill(sums, 0, 192);
  for (const last = panel + <usize>(K / GROUP) * GROUP_PANEL_BYTES; panel < last; x += GROUP_BYTES) {
    const sums0 = v128.load(panel, 32);
    const sums1 = v128.load(panel, 48);
    let s00 = begin(sums0, x);
    let s01 = begin(sums1, x);
    let s10 = begin(sums0, x + stride);
    let s11 = begin(sums1, x + stride);
    let s20 = begin(sums0, x + 2 * stride);
    let s21 = begin(sums1, x + 2 * stride);
    let s30 = begin(sums0, x + 3 * stride);
    let s31 = begin(sums1, x + 3 * stride);
    let s40 = begin(sums0, x + 4 * stride);
    let s41 = begin(sums1, x + 4 * stride);
    let s50 = begin(sums0, x + 5 * stride);
    let s51 = begin(sums1, x + 5 * stride);
    const scales = panel;
    panel += 64;
    let q = x + 8;
    for (const next = panel + GROUP * 8; panel < next; panel += 32, q += 4) {
      const low = v128.load(panel);
      const high = v128.load(panel, 16);
      let four = v128.load32_splat(q);
      s00 = dot_bytes(low, four, s00);
      s01 = dot_bytes(high, four, s01);
      four = v128.load32_splat(q + stride);
      s10 = dot_bytes(low, four, s10);
      s11 = dot_bytes(high, four, s11);
      four = v128.load32_splat(q + 2 * stride);
      s20 = dot_bytes(low, four, s20);
      s21 = dot_bytes(high, four, s21);
      four = v128.load32_splat(q + 3 * stride);
      s30 = dot_bytes(low, four, s30);
      s31 = dot_bytes(high, four, s31);
      four = v128.load32_splat(q + 4 * stride);
      s40 = dot_bytes(low, four, s40);
      s41 = dot_bytes(high, four, s41);
      four = v128.load32_splat(q + 5 * stride);
      s50 = dot_bytes(low, four, s50);
      s51 = dot_bytes(high, four, s51);
    }
    const scales0 = v128.load(scales);
    const scales1 = v128.load(scales, 16);
    finish(s00, scales0, x, sums);
    finish(s01, scales1, x, sums + 16);
    finish(s10, scales0, x + stride, sums + 32);
    finish(s11, scales1, x + stride, sums + 48);
    finish(s20, scales0, x + 2 * stride, sums + 64);
    finish(s21, scales1, x + 2 * stride, sums + 80);
    finish(s30, scales0, x + 3 * stride, sums + 96);
    finish(s31, scales1, x + 3 * stride, sums + 112);
    finish(s40, scales0, x + 4 * stride, sums + 128);
    finish(s41, scales1, x + 4 * stride, sums + 144);
    finish(s50, scales0, x + 5 * stride, sums + 160);
    finish(s51, scales1, x + 5 * stride, sums + 176);
  }
}

function four_rows(x: usize, stride: usize, panel: usize, K: u32, sums: usize): void {
  memory.fill(sums, 0, 128);
  for (const last = panel + <usize>(K / GROUP) * GROUP_PANEL_BYTES; panel < last; x += GROUP_BYTES) {
    const sums0 = v128.load(panel, 32);
    const sums1 = v128.load(panel, 48);
    let s00 = begin(sums0, x);
    let s01 = begin(sums1, x);
    let s10 = begin(sums0, x + stride);
    let s11 = begin(sums1, x + stride);
    let s20 = begin(sums0, x + 2 * stride);
    let s21 = begin(sums1, x + 2 * stride);
    let s30 = begin(sums0, x + 3 * stride);
    let s31 = begin(sums1, x + 3 * stride);
    const scales = panel;
    panel += 64;
    let q = x + 8;
    for (const next = panel + GROUP * 8; panel < next; panel += 32, q += 4) {
      const low = v128.load(panel);
      const high = v128.load(panel, 16);
      let four = v128.load32_splat(q);
      s00 = dot_bytes(low, four, s00);
      s01 = dot_bytes(high, four, s01);
      four = v128.load32_splat(q + stride);
      s10 = dot_bytes(low, four, s10);
      s11 = dot_bytes(high, four, s11);
      four = v128.load32_splat(q + 2 * stride);
      s20 = dot_bytes(low, four, s20);
      s21 = dot_bytes(high, four, s21);
      four = v128.load32_splat(q + 3 * stride);
      s30 = dot_bytes(low, four, s30);
      s31 = dot_bytes(high, four, s31);
    }
    const scales0 = v128.load(scales);
    const scales1 = v128.load(scales, 16);
    finish(s00, scales0, x, sums);
    finish(s01, scales1, x, sums + 16);
    finish(s10, scales0, x + stride, sums + 32);
    finish(s11, scales1, x + stride, sums + 48);
    finish(s20, scales0, x + 2 * stride, sums + 64);
    finish(s21, scales1, x + 2 * stride, sums + 80);
    finish(s30, scales0, x + 3 * stride, sums + 96);
    finish(s31, scales1, x + 3 * stride, sums + 112);
  }
}

/** One row: two sums each, of the even and the odd fours, so that one dot need not wait for the last. */
function one_row(x: usize, panel: usize, K: u32, sums: usize): void {
  let total0 = f32x4.splat(0);
  let total1 = total0;
  for (const last = panel + <usize>(K / GROUP) * GROUP_PANEL_BYTES; panel < last; x += GROUP_BYTES) {
    let s00 = begin(v128.load(panel, 32), x);
    let s01 = begin(v128.load(panel, 48), x);
    let s10 = i32x4.splat(0);
    let s11 = s10;
    const scales = panel;
    panel += 64;
    let q = x + 8;
    for (const next = panel + GROUP * 8; panel < next; panel += 64, q += 8) {
      let four = v128.load32_splat(q);
      s00 = dot_bytes(v128.load(panel), four, s00);
      s01 = dot_bytes(v128.load(panel, 16), four, s01);
      four = v128.load32_splat(q, 4);
      s10 = dot_bytes(v128.load(panel, 32), four, s10);
      s11 = dot_bytes(v128.load(panel, 48), four, s11);
    }
    const factor = v128.load32_splat(x);
    const sum0 = f32x4.convert_i32x4_s(i32x4.add(s00, s10));
    const sum1 = f32x4.convert_i32x4_s(i32x4.add(s01, s11));
    total0 = f32x4.add(total0, f32x4.mul(f32x4.mul(sum0, v128.load(scales)), factor));
    total1 = f32x4.add(total1, f32x4.mul(f32x4.mul(sum1, v128.load(scales, 16)), factor));
  }
  v128.store(sums, total0);
  v128.store(sums, total1, 16);
}

/** One row by four panels: memory gives four streams twice of what it gives one. */
function four_panels(x: usize, panel: usize, size: usize, K: u32, sums: usize): void {
  memory.fill(sums, 0, 128);
  const size3 = 3 * size;
  for (const last = panel + <usize>(K / GROUP) * GROUP_PANEL_BYTES; panel < last; x += GROUP_BYTES) {
    let s00 = begin(v128.load(panel, 32), x);
    let s01 = begin(v128.load(panel, 48), x);
    let s10 = begin(v128.load(panel + size, 32), x);
    let s11 = begin(v128.load(panel + size, 48), x);
    let s20 = begin(v128.load(panel + 2 * size, 32), x);
    let s21 = begin(v128.load(panel + 2 * size, 48), x);
    let s30 = begin(v128.load(panel + size3, 32), x);
    let s31 = begin(v128.load(panel + size3, 48), x);
    const scales = panel;
    panel += 64;
    let q = x + 8;
    for (const next = panel + GROUP * 8; panel < next; panel += 32, q += 4) {
      const four = v128.load32_splat(q);
      s00 = dot_bytes(v128.load(panel), four, s00);
      s01 = dot_bytes(v128.load(panel, 16), four, s01);
      s10 = dot_bytes(v128.load(panel + size), four, s10);
      s11 = dot_bytes(v128.load(panel + size, 16), four, s11);
      s20 = dot_bytes(v128.load(panel + 2 * size), four, s20);
      s21 = dot_bytes(v128.load(panel + 2 * size, 16), four, s21);
      s30 = dot_bytes(v128.load(panel + size3), four, s30);
      s31 = dot_bytes(v128.load(panel + size3, 16), four, s31);
    }
    finish(s00, v128.load(scales), x, sums);
    finish(s01, v128.load(scales, 16), x, sums + 16);
    finish(s10, v128.load(scales + size), x, sums + 32);
    finish(s11, v128.load(scales + size, 16), x, sums + 48);
    finish(s20, v128.load(scales + 2 * size), x, sums + 64);
    finish(s21, v128.load(scales + 2 * size, 16), x, sums + 80);
    finish(s30, v128.load(scales + size3), x, sums + 96);
    finish(s31, v128.load(scales + size3, 16), x, sums + 112);
  }
}
