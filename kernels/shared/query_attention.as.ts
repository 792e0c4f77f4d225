// Attention of one query, as decoding has it: keys and values are read where they lie.
import { local } from "./memory.as";
import { softmax_row } from "./softmax.as";
import { madd, sum_of } from "./vector.as";

/** Scores of the query begin here, in the order of their tokens. */
// @ts-ignore: decorator
@inline
export function score_at(token: u32): usize {
  return local + <usize>token * 4;
}

/** The product of two vectors of D values, a multiple of four. */
// @ts-ignore: decorator
@inline
export function dot(a: usize, b: usize, D: u32): f32 {
  let even = f32x4.splat(0);
  let odd = even;
  let at: usize = 0;
  for (const pairs = <usize>(D / 8) * 32; at < pairs; at += 32) {
    even = madd(v128.load(a + at), v128.load(b + at), even);
    odd = madd(v128.load(a + at, 16), v128.load(b + at, 16), odd);
  }
  if (at < <usize>D * 4) even = madd(v128.load(a + at), v128.load(b + at), even);
  return sum_of(f32x4.add(even, odd));
}

/** Turns the scores of `count` tokens into weights that add up to 1. */
export function normalize_scores(count: u32): void {
  const factor = f32x4.splat(1 / softmax_row(local, count));
  for (let at = local, end = score_at(count); at < end; at += 16)
    v128.store(at, f32x4.mul(v128.load(at), factor));
}
