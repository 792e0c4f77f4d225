// The inner loop of all products of matrices: some rows by the 8 columns of a panel in f32, along all of K.
import { local } from "./memory.as";
import { madd } from "./vector.as";

/** Rows of a tile: with 6 x 8, all of 12 sums, two vectors of weights and a factor stay in registers. */
export const TILE_ROWS: u32 = 6;
/** The first bytes of local memory are for the sums of a tile, 8 for each of its rows: local + 32 * row. */
export const TILE_BYTES: usize = 256;

/** Sums of the products of `rows` rows, at most `TILE_ROWS`, with a panel: into the first bytes of local memory. */
export function add_up_tile(x: usize, stride: usize, rows: u32, panel: usize, K: u32): void {
  if (rows == TILE_ROWS) return six_rows(x, stride, panel, K);
  if (rows == 5) one_row(x + 4 * stride, panel, K, local + 128);
  if (rows >= 4) return four_rows(x, stride, panel, K);
  for (let row: u32 = 0; row < rows; row++) one_row(x + row * stride, panel, K, local + row * 32);
}

function four_rows(x: usize, stride: usize, panel: usize, K: u32): void {
  let x1 = x + stride;
  let x2 = x1 + stride;
  let x3 = x2 + stride;
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  for (const end = panel + <usize>K * 32; panel < end; panel += 32) {
    const low = v128.load(panel);
    const high = v128.load(panel, 16);
    let factor = v128.load32_splat(x);
    s00 = madd(factor, low, s00);
    s01 = madd(factor, high, s01);
    factor = v128.load32_splat(x1);
    s10 = madd(factor, low, s10);
    s11 = madd(factor, high, s11);
    factor = v128.load32_splat(x2);
    s20 = madd(factor, low, s20);
    s21 = madd(factor, high, s21);
    factor = v128.load32_splat(x3);
    s30 = madd(factor, low, s30);
    s31 = madd(factor, high, s31);
    x += 4;
    x1 += 4;
    x2 += 4;
    x3 += 4;
  }
  v128.store(local, s00);
  v128.store(local, s01, 16);
  v128.store(local, s10, 32);
  v128.store(local, s11, 48);
  v128.store(local, s20, 64);
  v128.store(local, s21, 80);
  v128.store(local, s30, 96);
  v128.store(local, s31, 112);
}

function six_rows(x: usize, stride: usize, panel: usize, K: u32): void {
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
  v128.store(local, s00);
  v128.store(local, s01, 16);
  v128.store(local, s10, 32);
  v128.store(local, s11, 48);
  v128.store(local, s20, 64);
  v128.store(local, s21, 80);
  v128.store(local, s30, 96);
  v128.store(local, s31, 112);
  v128.store(local, s40, 128);
  v128.store(local, s41, 144);
  v128.store(local, s50, 160);
  v128.store(local, s51, 176);
}

/** One row, in the order of sums that it has in a tile. */
function one_row(x: usize, panel: usize, K: u32, to: usize): void {
  let low = f32x4.splat(0);
  let high = low;
  for (const end = panel + <usize>K * 32; panel < end; panel += 32, x += 4) {
    const factor = v128.load32_splat(x);
    low = madd(factor, v128.load(panel), low);
    high = madd(factor, v128.load(panel, 16), high);
  }
  v128.store(to, low);
  v128.store(to, high, 16);
}
