// A unit is a row: it is divided by the temperature, and what top-k and top-p drop is found in a sorted copy.
import { scratch } from "../shared/memory.as";
import { exp } from "../shared/vector.as";
import { LOWEST } from "../shared/vocabulary.as";

const DIGIT_BITS: u32 = 8;
const DIGITS: u32 = 256;
const SIGN: u32 = 0x80000000;

/** Two copies of each row, and the counts of a digit. */
// @ts-ignore: decorator
@inline
function row_bytes(columns: u32): usize {
  return <usize>(2 * columns + DIGITS) * 4;
}

export function sampling_filter_scratch(
  rows: u32,
  columns: u32,
  temperature: f32,
  top_k: u32,
  droppable: f32,
  min_kept: u32,
): u32 {
  return rows * <u32>row_bytes(columns);
}

export function sampling_filter_units(
  rows: u32,
  columns: u32,
  temperature: f32,
  top_k: u32,
  droppable: f32,
  min_kept: u32,
): u32 {
  return rows;
}

export function sampling_filter(
  scores: usize,
  rows: u32,
  columns: u32,
  temperature: f32,
  top_k: u32,
  droppable: f32,
  min_kept: u32,
  begin: u32,
  end: u32,
): void {
  const bytes = <usize>columns * 4;
  for (let row = begin; row < end; row++) {
    const own = scores + <usize>row * bytes;
    const sorted = scratch + <usize>row * row_bytes(columns);
    for (let at: usize = 0; at < bytes; at += 4) {
      const score = load<f32>(own + at);
      if (score > LOWEST) store<f32>(own + at, score / temperature);
    }
    if (top_k > 0 && top_k <= columns) {
      sort(own, columns, sorted);
      keep_from(own, columns, load<f32>(sorted + <usize>(columns - top_k) * 4));
    }
    if (droppable > 0) {
      sort(own, columns, sorted);
      keep_top_p(own, columns, sorted, droppable, min_kept);
    }
  }
}

function keep_from(own: usize, columns: u32, threshold: f32): void {
  for (let i: u32 = 0; i < columns; i++) {
    const at = own + <usize>i * 4;
    if (load<f32>(at) < threshold) store<f32>(at, LOWEST);
  }
}

/**
 * Drops the unlikeliest tokens whose probabilities add up to no more than `droppable`, but leaves `min_kept`. Of equally
 * likely tokens the first go first.
 */
function keep_top_p(own: usize, columns: u32, sorted: usize, droppable: f32, min_kept: u32): void {
  const end = sorted + <usize>columns * 4;
  while (sorted < end && !(load<f32>(sorted) > LOWEST)) sorted += 4;
  const count = <u32>((end - sorted) / 4);
  if (count <= min_kept) return;
  const largest = load<f32>(end - 4);
  let sum: f64 = 0;
  for (let at = sorted; at < end; at += 4) sum += power(load<f32>(at) - largest);
  let dropped: u32 = 0;
  let cumulative: f64 = 0;
  for (; dropped < count - min_kept; dropped++) {
    const weight: f64 = power(load<f32>(sorted + <usize>dropped * 4) - largest);
    cumulative += <f64>(<f32>(weight / sum));
    if (<f32>cumulative > droppable) break;
  }
  const lowest_kept = load<f32>(sorted + <usize>dropped * 4);
  let equals_to_drop: u32 = 0;
  while (equals_to_drop < dropped && load<f32>(sorted + <usize>(dropped - 1 - equals_to_drop) * 4) == lowest_kept)
    equals_to_drop++;
  for (let i: u32 = 0; i < columns; i++) {
    const at = own + <usize>i * 4;
    const score = load<f32>(at);
    if (score == lowest_kept && equals_to_drop > 0) {
      equals_to_drop--;
      store<f32>(at, LOWEST);
    } else if (score < lowest_kept) store<f32>(at, LOWEST);
  }
}

// @ts-ignore: decorator
@inline
function power(x: f32): f32 {
  return f32x4.extract_lane(exp(f32x4.splat(x)), 0);
}

/** A number whose order as an integer is that of the score. */
// @ts-ignore: decorator
@inline
function rank_of(score: u32): u32 {
  return score & SIGN ? ~score : score | SIGN;
}

/** Sorts a row into `to`, ascending, digit by digit. Behind it there is room for another copy, and for the counts. */
function sort(own: usize, columns: u32, to: usize): void {
  const bytes = <usize>columns * 4;
  const counts = to + 2 * bytes;
  let from = to;
  let other = to + bytes;
  for (let at: usize = 0; at < bytes; at += 4) store<u32>(from + at, rank_of(load<u32>(own + at)));
  for (let shift: u32 = 0; shift < 32; shift += DIGIT_BITS) {
    memory.fill(counts, 0, DIGITS * 4);
    for (let at: usize = 0; at < bytes; at += 4) {
      const count = counts + <usize>((load<u32>(from + at) >> shift) % DIGITS) * 4;
      store<u32>(count, load<u32>(count) + 1);
    }
    let place: u32 = 0;
    for (let digit: usize = 0; digit < DIGITS * 4; digit += 4) {
      const count = load<u32>(counts + digit);
      store<u32>(counts + digit, place);
      place += count;
    }
    for (let at: usize = 0; at < bytes; at += 4) {
      const rank = load<u32>(from + at);
      const count = counts + <usize>((rank >> shift) % DIGITS) * 4;
      const next = load<u32>(count);
      store<u32>(count, next + 1);
      store<u32>(other + <usize>next * 4, rank);
    }
    const swap = from;
    from = other;
    other = swap;
  }
  // An even number of digits: the last copy is the first again.
  for (let at: usize = 0; at < bytes; at += 4) {
    const rank = load<u32>(to + at);
    store<u32>(to + at, rank & SIGN ? rank & ~SIGN : ~rank);
  }
}
