// A unit is a slice of a row.
import { exp, max_of, sum_of } from "../shared/vector.as";
import { finite_lanes, LOWEST, SLICE } from "../shared/vocabulary.as";

export function log_sum_exp_units(rows: u32, columns: u32): u32 {
  return rows * ((columns + SLICE - 1) / SLICE);
}

export function log_sum_exp(scores: usize, sums: usize, rows: u32, columns: u32, begin: u32, end: u32): void {
  const slices = (columns + SLICE - 1) / SLICE;
  for (let unit = begin; unit < end; unit++) {
    const first = (unit % slices) * SLICE;
    const count = min(SLICE, columns - first);
    const slice = scores + (<usize>(unit / slices) * <usize>columns + first) * 4;
    const to = sums + <usize>unit * 16;
    const largest = largest_of(slice, count);
    const broken = first_broken(slice, count);
    store<f32>(to, largest);
    store<f32>(to, broken < count ? sum_of_broken(slice, count) : sum_of_powers(slice, count, largest), 4);
    store<f32>(to, broken < count ? <f32>(first + broken) : -1, 8);
    store<f32>(to, broken < count ? load<f32>(slice + <usize>broken * 4) : 0, 12);
  }
}

/** The largest that is finite. */
function largest_of(slice: usize, count: u32): f32 {
  const lowest = f32x4.splat(LOWEST);
  let largest = lowest;
  let i: u32 = 0;
  for (; i + 4 <= count; i += 4) {
    const score = v128.load(slice + <usize>i * 4);
    largest = f32x4.pmax(largest, v128.bitselect(score, lowest, finite_lanes(score)));
  }
  let result = max_of(largest);
  for (; i < count; i++) {
    const score = load<f32>(slice + <usize>i * 4);
    if (isFinite(score)) result = max(result, score);
  }
  return result;
}

/** The first that is not finite, or `count`. */
function first_broken(slice: usize, count: u32): u32 {
  let i: u32 = 0;
  for (; i + 4 <= count; i += 4) {
    if (!i32x4.all_true(finite_lanes(v128.load(slice + <usize>i * 4)))) break;
  }
  while (i < count && isFinite(load<f32>(slice + <usize>i * 4))) i++;
  return i;
}

function sum_of_powers(slice: usize, count: u32, largest: f32): f32 {
  const shift = f32x4.splat(largest);
  let sum = f32x4.splat(0);
  let i: u32 = 0;
  for (; i + 4 <= count; i += 4) sum = f32x4.add(sum, exp(f32x4.sub(v128.load(slice + <usize>i * 4), shift)));
  let result = sum_of(sum);
  for (; i < count; i++) {
    const power = exp(f32x4.splat(load<f32>(slice + <usize>i * 4) - largest));
    result += f32x4.extract_lane(power, 0);
  }
  return result;
}

/** Of a slice that has infinities or NaN. */
function sum_of_broken(slice: usize, count: u32): f32 {
  let sum: f32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const score = load<f32>(slice + <usize>i * 4);
    if (isNaN(score) || score == Infinity) sum += score;
  }
  return sum;
}
