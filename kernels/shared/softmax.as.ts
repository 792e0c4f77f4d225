import { exp, max_of, sum_of } from "./vector.as";

/** Its weight is nothing beside that of any score. */
const MASKED: f32 = -1e30;

/**
 * Turns `count` scores into e^(score - largest) in place, and gives their sum. There has to be room for a multiple of
 * four.
 */
export function softmax_row(scores: usize, count: u32): f32 {
  const end = scores + <usize>((count + 3) / 4) * 16;
  for (let at = scores + <usize>count * 4; at < end; at += 4) store<f32>(at, MASKED);
  // Two at a time, so that one need not wait for the last.
  let even = f32x4.splat(MASKED);
  let odd = even;
  let next = scores;
  for (; next + 16 < end; next += 32) {
    even = f32x4.pmax(even, v128.load(next));
    odd = f32x4.pmax(odd, v128.load(next, 16));
  }
  if (next < end) even = f32x4.pmax(even, v128.load(next));
  const shift = f32x4.splat(max_of(f32x4.pmax(even, odd)));
  let sum = f32x4.splat(0);
  for (let at = scores; at < end; at += 16) {
    const weight = exp(f32x4.sub(v128.load(at), shift));
    v128.store(at, weight);
    sum = f32x4.add(sum, weight);
  }
  return sum_of(sum);
}
