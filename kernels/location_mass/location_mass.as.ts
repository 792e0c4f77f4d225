// A unit is a row.
import { exp } from "../shared/vector.as";
import { largest_score, log_sum, MASSES, RADII, TRACE_BYTES } from "../shared/search.as";

/** As in locations.ts. */
const LOCATIONS: u32 = 1000;
const PARENT: usize = 4;

export function location_mass_units(rows: u32, columns: u32, slices: u32, first_location: u32, normalize: u32): u32 {
  return rows;
}

export function location_mass(
  scores: usize,
  sums: usize,
  position: usize,
  trace: usize,
  rows: u32,
  columns: u32,
  slices: u32,
  first_location: u32,
  normalize: u32,
  begin: u32,
  end: u32,
): void {
  const step = load<u32>(position) - 1;
  for (let unit = begin; unit < end; unit++) {
    const place = step * rows + unit;
    const own = trace + <usize>place * TRACE_BYTES;
    const token = load<u32>(own);
    if (token < first_location || token >= first_location + LOCATIONS) continue;
    const parent = load<u32>(own, PARENT);
    const of_row = sums + <usize>(parent * slices) * 16;
    const largest = normalize ? largest_score(of_row, slices) : 0;
    const shift = normalize ? largest + log_sum(of_row, slices, largest) : 0;
    const first = scores + (<usize>parent * <usize>columns + <usize>first_location) * 4;
    const chosen = token - first_location;
    const to = own + MASSES;
    let mass = sum_between(first, chosen, chosen, shift);
    store<f32>(to, mass);
    let below = chosen;
    let above = chosen;
    for (let i: u32 = 1; i < RADII; i++) {
      const radius: u32 = 1 << (i - 1);
      const left: u32 = chosen > radius ? chosen - radius : 0;
      const right: u32 = min(chosen + radius, LOCATIONS - 1);
      if (left < below) mass += sum_between(first, left, below - 1, shift);
      if (right > above) mass += sum_between(first, above + 1, right, shift);
      below = left;
      above = right;
      store<f32>(to + <usize>i * 4, mass);
    }
  }
}

/** Sum of e^(score - shift) from one location to another, both included. */
function sum_between(scores: usize, from: u32, to: u32, shift: f32): f32 {
  let sum: f32 = 0;
  for (let k = from; k <= to; k++) {
    sum += f32x4.extract_lane(exp(f32x4.splat(load<f32>(scores + <usize>k * 4) - shift)), 0);
  }
  return sum;
}
