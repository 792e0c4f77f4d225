import { exp, max_of, power_of_two, sum_of } from "./vector.as";

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

/**
 * 2^(score - largest) of a row of scores, side by side in `to`, and their sum. The scores stand 8 by 8, `stride` bytes
 * apart; there has to be room for the last eight, of both.
 */
export function powers_of_row(scores: usize, stride: usize, count: u32, to: usize): f32 {
  const eights = (count + 7) / 8;
  const last = scores + (eights - 1) * stride;
  for (let at: u32 = (count - 1) % 8 + 1; at < 8; at++) store<f32>(last + at * 4, MASKED);
  let low = f32x4.splat(MASKED);
  let high = low;
  for (let at = scores; at <= last; at += stride) {
    low = f32x4.pmax(low, v128.load(at));
    high = f32x4.pmax(high, v128.load(at, 16));
  }
  const shift = f32x4.splat(max_of(f32x4.pmax(low, high)));
  let sum_low = f32x4.splat(0);
  let sum_high = sum_low;
  for (let at = scores; at <= last; at += stride, to += 32) {
    const power_low = power_of_two(f32x4.sub(v128.load(at), shift));
    const power_high = power_of_two(f32x4.sub(v128.load(at, 16), shift));
    v128.store(to, power_low);
    v128.store(to, power_high, 16);
    sum_low = f32x4.add(sum_low, power_low);
    sum_high = f32x4.add(sum_high, power_high);
  }
  return sum_of(f32x4.add(sum_low, sum_high));
}
