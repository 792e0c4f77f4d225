// The inner loop of all products of matrices: some rows by the 8 columns of a panel in f32. A row's sums stand side by
// side, those of the next row behind them.
import { madd } from "./vector.as";

/** Rows of a tile: with 6 x 8, all of 12 sums, two vectors of weights and a factor stay in registers. */
export const TILE_ROWS: u32 = 6;
/** Bytes of a row's sums. */
export const SUMS_BYTES: usize = 32;

/**
 * Adds the products of `rows` rows with a panel, over K values of each, to their sums.
 *
 * @param stride bytes from one row to the next
 * @param isFirst whether sums begin with 0 instead of what is there
 */
export function add_up_rows(
  x: usize,
  stride: usize,
  rows: u32,
  panel: usize,
  K: u32,
  sums: usize,
  isFirst: bool,
): void {
  for (; rows > TILE_ROWS; rows -= TILE_ROWS) {
    add_up_tile(x, stride, TILE_ROWS, panel, K, sums, isFirst);
    x += TILE_ROWS * stride;
    sums += TILE_ROWS * SUMS_BYTES;
  }
  add_up_tile(x, stride, rows, panel, K, sums, isFirst);
}

/**
 * The same for at most `TILE_ROWS` rows. It stays a function of its own because several kernels call it: inside of a
 * loop over tiles, V8 11 moves sums out of registers in every step, and takes twice as long.
 */
export function add_up_tile(
  x: usize,
  stride: usize,
  rows: u32,
  panel: usize,
  K: u32,
  sums: usize,
  isFirst: bool,
): void {
  if (rows == TILE_ROWS) return six_rows(x, stride, panel, K, sums, isFirst);
  let row: u32 = 0;
  if (rows >= 4) {
    four_rows(x, stride, panel, K, sums, isFirst);
    row = 4;
  }
  for (; row < rows; row++) one_row(x + row * stride, panel, K, sums + row * SUMS_BYTES, isFirst);
}

function six_rows(x: usize, stride: usize, panel: usize, K: u32, sums: usize, isFirst: bool): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  let s40 = s00;
  let s41 = s00;
  let s50 = s00;
  let s51 = s00;
  if (!isFirst) {
    s00 = v128.load(sums);
    s01 = v128.load(sums, 16);
    s10 = v128.load(sums, 32);
    s11 = v128.load(sums, 48);
    s20 = v128.load(sums, 64);
    s21 = v128.load(sums, 80);
    s30 = v128.load(sums, 96);
    s31 = v128.load(sums, 112);
    s40 = v128.load(sums, 128);
    s41 = v128.load(sums, 144);
    s50 = v128.load(sums, 160);
    s51 = v128.load(sums, 176);
  }
  for (const end = panel + <usize>K * 32; panel < end; panel += 32) {
    const low = v128.load(panel);
    const high = v128.load(panel, 16);
    let factor = v128.load32_splat(x);
    s00 = madd(factor, low, s00);
    s01 = madd(factor, high, s01);
    factor = v128.load32_splat(x + stride);
    s10 = madd(factor, low, s10);
    s11 = madd(factor, high, s11);
    factor = v128.load32_splat(x + 2 * stride);
    s20 = madd(factor, low, s20);
    s21 = madd(factor, high, s21);
    factor = v128.load32_splat(x + 3 * stride);
    s30 = madd(factor, low, s30);
    s31 = madd(factor, high, s31);
    factor = v128.load32_splat(x + 4 * stride);
    s40 = madd(factor, low, s40);
    s41 = madd(factor, high, s41);
    factor = v128.load32_splat(x + 5 * stride);
    s50 = madd(factor, low, s50);
    s51 = madd(factor, high, s51);
    x += 4;
  }
  v128.store(sums, s00);
  v128.store(sums, s01, 16);
  v128.store(sums, s10, 32);
  v128.store(sums, s11, 48);
  v128.store(sums, s20, 64);
  v128.store(sums, s21, 80);
  v128.store(sums, s30, 96);
  v128.store(sums, s31, 112);
  v128.store(sums, s40, 128);
  v128.store(sums, s41, 144);
  v128.store(sums, s50, 160);
  v128.store(sums, s51, 176);
}

function four_rows(x: usize, stride: usize, panel: usize, K: u32, sums: usize, isFirst: bool): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  if (!isFirst) {
    s00 = v128.load(sums);
    s01 = v128.load(sums, 16);
    s10 = v128.load(sums, 32);
    s11 = v128.load(sums, 48);
    s20 = v128.load(sums, 64);
    s21 = v128.load(sums, 80);
    s30 = v128.load(sums, 96);
    s31 = v128.load(sums, 112);
  }
  for (const end = panel + <usize>K * 32; panel < end; panel += 32) {
    const low = v128.load(panel);
    const high = v128.load(panel, 16);
    let factor = v128.load32_splat(x);
    s00 = madd(factor, low, s00);
    s01 = madd(factor, high, s01);
    factor = v128.load32_splat(x + stride);
    s10 = madd(factor, low, s10);
    s11 = madd(factor, high, s11);
    factor = v128.load32_splat(x + 2 * stride);
    s20 = madd(factor, low, s20);
    s21 = madd(factor, high, s21);
    factor = v128.load32_splat(x + 3 * stride);
    s30 = madd(factor, low, s30);
    s31 = madd(factor, high, s31);
    x += 4;
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

/** One row, in the order of sums that it has in a tile. */
function one_row(x: usize, panel: usize, K: u32, sums: usize, isFirst: bool): void {
  let low = f32x4.splat(0);
  let high = low;
  if (!isFirst) {
    low = v128.load(sums);
    high = v128.load(sums, 16);
  }
  for (const end = panel + <usize>K * 32; panel < end; panel += 32, x += 4) {
    const factor = v128.load32_splat(x);
    low = madd(factor, v128.load(panel), low);
    high = madd(factor, v128.load(panel, 16), high);
  }
  v128.store(sums, low);
  v128.store(sums, high, 16);
}

/** Adds the biases of the 8 columns to the sums of some rows. */
export function add_bias(sums: usize, rows: u32, bias: usize): void {
  const low = v128.load(bias);
  const high = v128.load(bias, 16);
  for (const end = sums + rows * SUMS_BYTES; sums < end; sums += SUMS_BYTES) {
    v128.store(sums, f32x4.add(v128.load(sums), low));
    v128.store(sums, f32x4.add(v128.load(sums, 16), high), 16);
  }
}
