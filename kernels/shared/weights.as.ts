// Weights as the engine keeps them, in panels of 8 rows of the matrix (core/cpu/panels.ts): row n is column n % 8 of
// panel n / 8. Behind a matrix there are rows of zeros up to a whole panel.
//
//   f32, f16   for each k the weights of the panel's 8 rows; f16 times 2^10, with exponents from 1 to 31, so that none
//              is subnormal: arithmetic on those takes a hundred cycles
//   large f16  the halves as files have them, of a matrix with weights of 128 or more
//   q8, q4     for each block of 32 k the 8 headers (least in the lower, span in the upper half of a word), then for
//              each four k (k, k + 1, k + 2, k + 3) four q of each row, row by row. In q4, rows 0 to 3 have the lower
//              halves of the bytes, rows 4 to 7 the upper ones.
//   i8         for each group of 64 k the 8 scales, in f32, 8 words with the sum of the q in the lower and the zero point
//              in the upper half, both with the sign turned, and then for each four k four q of each row, row by row
import { half_mask, madd, small_halves, widen_low } from "./vector.as";

/** How a matrix is stored: the values of NAME_format. */
export const F32: u32 = 0;
export const F16: u32 = 1;
export const Q8: u32 = 2;
export const Q4: u32 = 3;
/** In f32, row by row: weights that a kernel computed. */
export const ROWS: u32 = 4;
export const I8: u32 = 5;
export const LARGE_F16: u32 = 6;

/** Rows of a panel. */
export const PANEL: u32 = 8;
/** Weights of a block. */
export const BLOCK: u32 = 32;
/** Weights of a group of I8, and bytes of a panel of it. */
export const GROUP: u32 = 64;
export const GROUP_PANEL_BYTES: usize = 576;

// @ts-expect-error: decorator
@inline
export function is_half(format: u32): bool {
  return format == F16 || format == LARGE_F16;
}

/** Weights over small_halves: 2^102 or 2^112. */
// @ts-expect-error: decorator
@inline
export function factor_of_halves(format: u32): f32 {
  return reinterpret<f32>((format == F16 ? 127 + 102 : 127 + 112) << 23);
}

/** Bytes of a panel whose rows have K weights. */
// @ts-expect-error: decorator
@inline
export function panel_bytes(K: u32, format: u32): usize {
  if (format == F32 || format == ROWS) return <usize>K * 32;
  if (is_half(format)) return <usize>K * 16;
  if (format == I8) return <usize>(K / GROUP) * GROUP_PANEL_BYTES;
  return <usize>(K / BLOCK) * (format == Q8 ? 288 : 160);
}

/**
 * A part of a panel in f32, `count` k from `first` on: itself, or made in `to`, which has count * 32 bytes. In blocks
 * and groups, a part begins with one and ends with one.
 *
 * @param rows how many of its rows are in the matrix
 */
export function part_in_f32(
  panel: usize,
  K: u32,
  format: u32,
  rows: u32,
  first: u32,
  count: u32,
  to: usize,
): usize {
  if (format == ROWS) return turn_rows(panel + first * 4, K, rows, count, to);
  const part = panel + panel_bytes(first, format);
  if (format == F32) return part;
  if (is_half(format)) widen_halves(part, count, factor_of_halves(format), to);
  else if (format == Q8) widen_q8(part, count, to);
  else if (format == I8) widen_i8(part, count, to);
  else widen_q4(part, count, to);
  return to;
}

/** A whole panel in f32: see part_in_f32. */
export function panel_in_f32(panel: usize, K: u32, format: u32, rows: u32, to: usize): usize {
  return part_in_f32(panel, K, format, rows, 0, K, to);
}

/** `count` by 8 of the first `count` of 8 rows of K; what is missing of the last rows repeats the last one. */
function turn_rows(first: usize, K: u32, rows: u32, count: u32, to: usize): usize {
  for (let half: u32 = 0; half < 8; half += 4) {
    const last = rows - 1;
    const row0 = first + <usize>min(half, last) * K * 4;
    const row1 = first + <usize>min(half + 1, last) * K * 4;
    const row2 = first + <usize>min(half + 2, last) * K * 4;
    const row3 = first + <usize>min(half + 3, last) * K * 4;
    let at = to + half * 4;
    for (let k: usize = 0; k < <usize>count * 4; k += 16, at += 128) {
      const a = v128.load(row0 + k);
      const b = v128.load(row1 + k);
      const c = v128.load(row2 + k);
      const d = v128.load(row3 + k);
      const ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
      const cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
      v128.store(at, i64x2.shuffle(ab, cd, 0, 2));
      v128.store(at, i64x2.shuffle(ab, cd, 1, 3), 32);
      const abRest = i32x4.shuffle(a, b, 2, 6, 3, 7);
      const cdRest = i32x4.shuffle(c, d, 2, 6, 3, 7);
      v128.store(at, i64x2.shuffle(abRest, cdRest, 0, 2), 64);
      v128.store(at, i64x2.shuffle(abRest, cdRest, 1, 3), 96);
    }
  }
  return to;
}

function widen_halves(panel: usize, K: u32, factor: f32, to: usize): void {
  const mask = half_mask();
  const factors = f32x4.splat(factor);
  for (let end = panel + <usize>K * 16; panel < end; panel += 16, to += 32) {
    v128.store(to, f32x4.mul(small_halves(v128.load16x4_s(panel), mask), factors));
    v128.store(to, f32x4.mul(small_halves(v128.load16x4_s(panel, 8), mask), factors), 16);
  }
}

/** The least values of four rows' blocks. */
// @ts-expect-error: decorator
@inline
export function least_of(headers: v128): v128 {
  return widen_low(i16x8.shuffle(headers, headers, 0, 2, 4, 6, 0, 2, 4, 6));
}

/** The spans of four rows' blocks. */
// @ts-expect-error: decorator
@inline
export function span_of(headers: v128): v128 {
  return widen_low(i16x8.shuffle(headers, headers, 1, 3, 5, 7, 1, 3, 5, 7));
}

// @ts-expect-error: decorator
@inline
function store_four(q: v128, least: v128, step: v128, to: usize): void {
  const mask = i32x4.splat(0xff);
  v128.store(to, madd(f32x4.convert_i32x4_u(v128.and(q, mask)), step, least));
  v128.store(to, madd(f32x4.convert_i32x4_u(v128.and(i32x4.shr_u(q, 8), mask)), step, least), 32);
  v128.store(to, madd(f32x4.convert_i32x4_u(v128.and(i32x4.shr_u(q, 16), mask)), step, least), 64);
  v128.store(to, madd(f32x4.convert_i32x4_u(i32x4.shr_u(q, 24)), step, least), 96);
}

function widen_q8(panel: usize, K: u32, to: usize): void {
  const unit = f32x4.splat(1.0 / 256);
  for (let block: u32 = 0; block < K / BLOCK; block++) {
    const first = v128.load(panel);
    const second = v128.load(panel, 16);
    const step0 = f32x4.mul(span_of(first), unit);
    const step1 = f32x4.mul(span_of(second), unit);
    panel += 32;
    for (let group: u32 = 0; group < 8; group++, panel += 32, to += 128) {
      store_four(v128.load(panel), least_of(first), step0, to);
      store_four(v128.load(panel, 16), least_of(second), step1, to + 16);
    }
  }
}

function widen_q4(panel: usize, K: u32, to: usize): void {
  const unit = f32x4.splat(1.0 / 16);
  for (let block: u32 = 0; block < K / BLOCK; block++) {
    const first = v128.load(panel);
    const second = v128.load(panel, 16);
    const step0 = f32x4.mul(span_of(first), unit);
    const step1 = f32x4.mul(span_of(second), unit);
    panel += 32;
    for (let group: u32 = 0; group < 8; group++, panel += 16, to += 128) {
      const q = v128.load(panel);
      store_four(v128.and(q, i8x16.splat(15)), least_of(first), step0, to);
      store_four(i8x16.shr_u(q, 4), least_of(second), step1, to + 16);
    }
  }
}

function widen_i8(panel: usize, K: u32, to: usize): void {
  for (let group: u32 = 0; group < K / GROUP; group++) {
    const scales0 = v128.load(panel);
    const scales1 = v128.load(panel, 16);
    const zeros0 = turned_zeros(v128.load(panel, 32));
    const zeros1 = turned_zeros(v128.load(panel, 48));
    panel += 64;
    for (let four: u32 = 0; four < GROUP / 4; four++, panel += 32, to += 128) {
      store_signed(v128.load(panel), zeros0, scales0, to);
      store_signed(v128.load(panel, 16), zeros1, scales1, to + 16);
    }
  }
}

// @ts-expect-error: decorator
@inline
function store_signed(q: v128, zeros: v128, scales: v128, to: usize): void {
  v128.store(to, f32x4.mul(whole_of(q, 24, zeros), scales));
  v128.store(to, f32x4.mul(whole_of(q, 16, zeros), scales), 32);
  v128.store(to, f32x4.mul(whole_of(q, 8, zeros), scales), 64);
  v128.store(to, f32x4.mul(whole_of(q, 0, zeros), scales), 96);
}

/** The zero points of four rows' groups, with the sign turned. */
// @ts-expect-error: decorator
@inline
export function turned_zeros(words: v128): v128 {
  return i32x4.shr_s(words, 16);
}

/**
 * q - zero in f32, of one byte of each of four words.
 *
 * @param shift to the left that makes this byte the highest one
 */
// @ts-expect-error: decorator
@inline
export function whole_of(q: v128, shift: i32, zeros: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.add(i32x4.shr_s(i32x4.shl(q, shift), 24), zeros));
}

/** One weight, for what reads few. */
export function weight_at(matrix: usize, row: u32, k: u32, K: u32, format: u32): f32 {
  if (format == ROWS) return load<f32>(matrix + (<usize>row * K + k) * 4);
  const panel = matrix + <usize>(row / PANEL) * panel_bytes(K, format);
  const column = row % PANEL;
  if (format == F32) return load<f32>(panel + (<usize>k * 8 + column) * 4);
  if (is_half(format)) {
    const small = small_halves(v128.load16x4_s(panel + (<usize>k * 8 + column) * 2), half_mask());
    return f32x4.extract_lane(small, 0) * factor_of_halves(format);
  }
  if (format == I8) {
    const group = panel + <usize>(k / GROUP) * GROUP_PANEL_BYTES;
    const q = load<i8>(group + 64 + <usize>((k % GROUP) / 4) * 32 + column * 4 + (k % 4));
    const zero = -load<i16>(group + <usize>column * 4, 34);
    return load<f32>(group + <usize>column * 4) * <f32>(<i32>q - zero);
  }
  const block = panel + <usize>(k / BLOCK) * (format == Q8 ? 288 : 160);
  const least = half_at(block + <usize>column * 4);
  const span = half_at(block + <usize>column * 4 + 2);
  const group = (k % BLOCK) / 4;
  if (format == Q8) {
    const q = load<u8>(block + 32 + <usize>group * 32 + column * 4 + (k % 4));
    return least + (span / 256) * <f32>q;
  }
  const byte = load<u8>(block + 32 + <usize>group * 16 + (column % 4) * 4 + (k % 4));
  return least + (span / 16) * <f32>(column < 4 ? byte & 15 : byte >> 4);
}

function half_at(at: usize): f32 {
  return f32x4.extract_lane(widen_low(i16x8.splat(load<i16>(at))), 0);
}

/** Row `row` in f32. */
export function row_in_f32(matrix: usize, row: u32, K: u32, format: u32, to: usize): void {
  for (let k: u32 = 0; k < K; k++, to += 4) store<f32>(to, weight_at(matrix, row, k, K, format));
}
