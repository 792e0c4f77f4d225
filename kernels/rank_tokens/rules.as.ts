// The rules of generation on a slice of the scores. See rules.wgsl.
import { local } from "../shared/memory.as";
import { TRACE_BYTES } from "../shared/search.as";
import { LOWEST, SLICE } from "../shared/vocabulary.as";

/** Bits of a mark. */
export const USED: u8 = 1;
export const BANNED: u8 = 2;

/** Token `place` of the row's answer; 0 is the start token. */
// @ts-ignore: decorator
@inline
function token_at(trace: usize, history: usize, rows: u32, start_token: u32, place: u32): u32 {
  if (place == 0) return start_token;
  const row = load<u32>(history + <usize>place * 4);
  return load<u32>(trace + <usize>((place - 1) * rows + row) * TRACE_BYTES);
}

/** Marks the tokens of the slice that the answer contains, and those that would complete a run of `ngram` it contains. */
export function mark_answer(
  trace: usize,
  history: usize,
  rows: u32,
  start_token: u32,
  generated: u32,
  ngram: u32,
  first: u32,
  count: u32,
): void {
  memory.fill(local, 0, SLICE);
  const length = generated + 1;
  for (let place: u32 = 0; place < length; place++) {
    const bit = token_at(trace, history, rows, start_token, place) - first;
    if (bit >= count) continue;
    let marks = load<u8>(local + bit) | USED;
    if (ngram > 0 && place + 1 >= ngram) {
      // The tokens before this one against the last ones of the answer.
      let matched: u32 = 1;
      while (
        matched < ngram &&
        token_at(trace, history, rows, start_token, place - matched) ==
          token_at(trace, history, rows, start_token, length - matched)
      )
        matched++;
      if (matched == ngram) marks |= BANNED;
    }
    store<u8>(local + bit, marks);
  }
}

export function penalize(at: usize, penalty: f32): void {
  const score = load<f32>(at);
  if (score != LOWEST) store<f32>(at, score < 0 ? score * penalty : score / penalty);
}

/** What is not finite stays, for log_sum_exp to find. */
export function ban(at: usize): void {
  if (isFinite(load<f32>(at))) store<f32>(at, LOWEST);
}

export function ban_all(slice: usize, count: u32): void {
  for (let i: u32 = 0; i < count; i++) ban(slice + <usize>i * 4);
}

export function ban_listed(slice: usize, count: u32, first: u32, list: usize, length: u32): void {
  for (let i: u32 = 0; i < length; i++) {
    const place = load<u32>(list + <usize>i * 4) - first;
    if (place < count) ban(slice + <usize>place * 4);
  }
}

export function is_listed(token: u32, list: usize, length: u32): bool {
  for (let i: u32 = 0; i < length; i++) if (load<u32>(list + <usize>i * 4) == token) return true;
  return false;
}

/** The score of a token that is forced. */
export function allow(slice: usize, count: u32, place: u32): void {
  if (place < count && isFinite(load<f32>(slice + <usize>place * 4))) store<f32>(slice + <usize>place * 4, 0);
}
