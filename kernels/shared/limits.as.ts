// What the engine can reach at most, for benches and for the choice of formats: they have no twins, and no model calls
// them.

import { add_up_integers, integer_row_bytes } from "./integers.as";
import { local } from "./memory.as";
import { add_up_tile, SUMS_BYTES, TILE_ROWS } from "./tile.as";
import { madd } from "./vector.as";
import { I8 } from "./weights.as";

/** 12 x `rounds` multiply-adds of four, which depend on nothing but registers: 96 x rounds operations a unit. */
export function limit_multiply_add(rounds: u32, begin: u32, end: u32): void {
  for (let unit = begin; unit < end; unit++) multiply_add(rounds);
}

function multiply_add(rounds: u32): void {
  const a = v128.load32_splat(local);
  const b = v128.load32_splat(local, 4);
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(1);
  let s2 = f32x4.splat(2);
  let s3 = f32x4.splat(3);
  let s4 = f32x4.splat(4);
  let s5 = f32x4.splat(5);
  let s6 = f32x4.splat(6);
  let s7 = f32x4.splat(7);
  let s8 = f32x4.splat(8);
  let s9 = f32x4.splat(9);
  let s10 = f32x4.splat(10);
  let s11 = f32x4.splat(11);
  for (let i: u32 = 0; i < rounds; i++) {
    s0 = madd(a, b, s0);
    s1 = madd(a, b, s1);
    s2 = madd(a, b, s2);
    s3 = madd(a, b, s3);
    s4 = madd(a, b, s4);
    s5 = madd(a, b, s5);
    s6 = madd(a, b, s6);
    s7 = madd(a, b, s7);
    s8 = madd(a, b, s8);
    s9 = madd(a, b, s9);
    s10 = madd(a, b, s10);
    s11 = madd(a, b, s11);
  }
  const low = f32x4.add(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)), f32x4.add(s4, s5));
  const high = f32x4.add(f32x4.add(f32x4.add(s6, s7), f32x4.add(s8, s9)), f32x4.add(s10, s11));
  v128.store(local, f32x4.add(low, high), 16);
}

/** Copies the parts `begin` to `end` of `bytes` each. */
export function limit_copy(from: usize, to: usize, bytes: u32, begin: u32, end: u32): void {
  for (let unit = begin; unit < end; unit++) {
    const at = <usize>unit * bytes;
    memory.copy(to + at, from + at, bytes);
  }
}

const PRODUCT_K: u32 = 256;

/** `rounds` tiles of 6 rows by 8 columns along 256 k, of what lies in local memory: 24,576 x rounds operations a unit. */
export function limit_products(format: u32, rounds: u32, begin: u32, end: u32): void {
  const x = local + TILE_ROWS * SUMS_BYTES;
  const stride = format == I8 ? integer_row_bytes(PRODUCT_K) : <usize>PRODUCT_K * 4;
  const panel = x + TILE_ROWS * stride;
  if (begin < end) memory.fill(x, 0, TILE_ROWS * stride + PRODUCT_K * 32);
  for (let unit = begin; unit < end; unit++) {
    for (let i: u32 = 0; i < rounds; i++) {
      if (format == I8) add_up_integers(x, stride, TILE_ROWS, panel, 1, PRODUCT_K, local);
      else add_up_tile(x, stride, TILE_ROWS, panel, PRODUCT_K, local, true);
    }
  }
}
