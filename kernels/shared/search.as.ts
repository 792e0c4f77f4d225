// Shared by the kernels of a search: see search_trace.ts and log_normalizer.ts.
import { LOWEST } from "./vocabulary.as";

/** Bytes of a row of the trace, and of its parts. */
export const TRACE_BYTES: usize = 96;
export const SCORE: usize = 12;
export const DONE: usize = 36;
export const MASSES: usize = 48;
/** Distances within which the probabilities of locations are added up, as in locations.ts. */
export const RADII: u32 = 12;
/** Bytes of a candidate: key, token, score, 1 if the token ends the answer. */
export const CANDIDATE_BYTES: usize = 16;

/** The largest score of a row; call it before `log_sum`. */
export function largest_score(sums: usize, slices: u32): f32 {
  let largest = LOWEST;
  for (let s: u32 = 0; s < slices; s++) largest = max(largest, load<f32>(sums + <usize>s * 16));
  return largest;
}

/** log(sum of e^(score - largest)) of a row. */
export function log_sum(sums: usize, slices: u32, largest: f32): f32 {
  let sum: f64 = 0;
  for (let s: u32 = 0; s < slices; s++) {
    const slice = sums + <usize>s * 16;
    sum += <f64>load<f32>(slice, 4) * Math.exp(<f64>load<f32>(slice) - <f64>largest);
  }
  return <f32>Math.log(sum);
}
