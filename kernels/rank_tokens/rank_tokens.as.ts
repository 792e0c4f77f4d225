// A unit is a slice of a row. Where it is asked for, all its scores become log-probabilities first; what that subtracts
// comes from the first pass. Then the rules change the few that they name. Last, the best go into a short sorted list.
import { local, scratch } from "../shared/memory.as";
import { CANDIDATE_BYTES, largest_score, log_sum, SCORE, TRACE_BYTES } from "../shared/search.as";
import { finite_lanes, LOWEST, SLICE } from "../shared/vocabulary.as";
import { gumbel_noise } from "./gumbel.as";
import { allow, BANNED, ban, ban_all, ban_listed, is_listed, mark_answer, penalize, USED } from "./rules.as";

/** Stands for no token. */
const NONE: u32 = 0xffffffff;

/* Local memory: a byte of marks for each token of the slice, then the best keys and their tokens. */
const KEYS: usize = 1024;
const MOST_BEST: usize = 64;
const TOKENS: usize = KEYS + MOST_BEST * 4;

/** What is subtracted from the scores of each row: the largest, and the logarithm of the sum. */
export function rank_tokens_scratch(
  rows: u32,
  columns: u32,
  width: u32,
  rows_per_image: u32,
  capacity: u32,
  best: u32,
  normalize: u32,
  start_token: u32,
  end_count: u32,
  ngram: u32,
  penalty: f32,
  minimum: u32,
  maximum: u32,
  forced_first: u32,
  forced_count: u32,
  noise: u32,
  seed_low: u32,
  seed_high: u32,
): u32 {
  return rows * 8;
}

export function rank_tokens_first_units(
  rows: u32,
  columns: u32,
  width: u32,
  rows_per_image: u32,
  capacity: u32,
  best: u32,
  normalize: u32,
  start_token: u32,
  end_count: u32,
  ngram: u32,
  penalty: f32,
  minimum: u32,
  maximum: u32,
  forced_first: u32,
  forced_count: u32,
  noise: u32,
  seed_low: u32,
  seed_high: u32,
): u32 {
  return normalize ? rows : 0;
}

export function rank_tokens_first(
  scores: usize,
  sums: usize,
  trace: usize,
  ancestry: usize,
  position: usize,
  end_tokens: usize,
  forced_last: usize,
  candidates: usize,
  rows: u32,
  columns: u32,
  width: u32,
  rows_per_image: u32,
  capacity: u32,
  best: u32,
  normalize: u32,
  start_token: u32,
  end_count: u32,
  ngram: u32,
  penalty: f32,
  minimum: u32,
  maximum: u32,
  forced_first: u32,
  forced_count: u32,
  noise: u32,
  seed_low: u32,
  seed_high: u32,
  begin: u32,
  end: u32,
): void {
  const slices = (columns + SLICE - 1) / SLICE;
  for (let row = begin; row < end; row++) {
    const own = sums + <usize>(row * slices) * 16;
    const largest = largest_score(own, slices);
    store<f32>(scratch + <usize>row * 8, largest);
    store<f32>(scratch + <usize>row * 8, log_sum(own, slices, largest), 4);
  }
}

export function rank_tokens_units(
  rows: u32,
  columns: u32,
  width: u32,
  rows_per_image: u32,
  capacity: u32,
  best: u32,
  normalize: u32,
  start_token: u32,
  end_count: u32,
  ngram: u32,
  penalty: f32,
  minimum: u32,
  maximum: u32,
  forced_first: u32,
  forced_count: u32,
  noise: u32,
  seed_low: u32,
  seed_high: u32,
): u32 {
  return rows * ((columns + SLICE - 1) / SLICE);
}

export function rank_tokens(
  scores: usize,
  sums: usize,
  trace: usize,
  ancestry: usize,
  position: usize,
  end_tokens: usize,
  forced_last: usize,
  candidates: usize,
  rows: u32,
  columns: u32,
  width: u32,
  rows_per_image: u32,
  capacity: u32,
  best: u32,
  normalize: u32,
  start_token: u32,
  end_count: u32,
  ngram: u32,
  penalty: f32,
  minimum: u32,
  maximum: u32,
  forced_first: u32,
  forced_count: u32,
  noise: u32,
  seed_low: u32,
  seed_high: u32,
  begin: u32,
  end: u32,
): void {
  const slices = (columns + SLICE - 1) / SLICE;
  const generated = load<u32>(position);
  for (let unit = begin; unit < end; unit++) {
    const row = unit / slices;
    const first = (unit % slices) * SLICE;
    const count = min(SLICE, columns - first);
    const slice = scores + (<usize>row * <usize>columns + first) * 4;
    const normalizer = scratch + <usize>row * 8;
    if (normalize) to_log_probs(slice, count, load<f32>(normalizer), load<f32>(normalizer, 4));
    const history = ancestry + <usize>(row * capacity) * 4;
    if (penalty != 1 || ngram > 0) {
      mark_answer(trace, history, rows, start_token, generated, ngram, first, count);
      for (let i: u32 = 0; i < count; i++) {
        // Few tokens are marked: pass over eight at a time.
        while (i < count && i % 8 == 0 && load<u64>(local + i) == 0) i += 8;
        if (i >= count) break;
        const marks = load<u8>(local + i);
        const at = slice + <usize>i * 4;
        if (marks & USED && penalty != 1) penalize(at, penalty);
        if (marks & BANNED) ban(at);
      }
    }
    if (generated < minimum) ban_listed(slice, count, first, end_tokens, end_count);
    if (generated == 0 && forced_first != NONE) {
      ban_all(slice, count);
      allow(slice, count, forced_first - first);
    }
    if (generated == maximum - 1 && forced_count > 0) {
      ban_all(slice, count);
      for (let i: u32 = 0; i < forced_count; i++)
        allow(slice, count, load<u32>(forced_last + <usize>i * 4) - first);
    }

    let sum: f32 = row % width == 0 ? 0 : LOWEST;
    if (generated > 0)
      sum = load<f32>(trace + <usize>((generated - 1) * rows + row) * TRACE_BYTES + SCORE);
    clear_list(best);
    if (sum != LOWEST) {
      const shift = width > 1 ? sum : 0;
      if (noise) list_noisy(slice, count, shift, best, first, row % rows_per_image, generated, seed_low, seed_high);
      else list_best(slice, count, shift, best);
    }
    store_list(slice, first, best, end_tokens, end_count, candidates + <usize>(unit * best) * CANDIDATE_BYTES);
  }
}

function to_log_probs(slice: usize, count: u32, largest: f32, log_of_sum: f32): void {
  let i: u32 = 0;
  const lowest = f32x4.splat(LOWEST);
  for (; i + 4 <= count; i += 4) {
    const at = slice + <usize>i * 4;
    const score = v128.load(at);
    const log_prob = f32x4.sub(f32x4.sub(score, f32x4.splat(largest)), f32x4.splat(log_of_sum));
    v128.store(at, v128.bitselect(score, log_prob, f32x4.eq(score, lowest)));
  }
  for (; i < count; i++) {
    const at = slice + <usize>i * 4;
    const score = load<f32>(at);
    if (score != LOWEST) store<f32>(at, score - largest - log_of_sum);
  }
}

function clear_list(best: u32): void {
  for (let i: u32 = 0; i < best; i++) store<f32>(local + KEYS + <usize>i * 4, LOWEST);
}

/** Puts a token into the list if its key is above the last one's: behind those that are as good. */
function insert(key: f32, place: u32, best: u32): void {
  const keys = local + KEYS;
  const places = local + TOKENS;
  let i = best - 1;
  if (!(key > load<f32>(keys + <usize>i * 4))) return;
  for (; i > 0 && key > load<f32>(keys + <usize>(i - 1) * 4); i--) {
    store<f32>(keys + <usize>i * 4, load<f32>(keys + <usize>(i - 1) * 4));
    store<u32>(places + <usize>i * 4, load<u32>(places + <usize>(i - 1) * 4));
  }
  store<f32>(keys + <usize>i * 4, key);
  store<u32>(places + <usize>i * 4, place);
}

/** Lists the best of the slice. Infinities and NaN are no candidates. */
function list_best(slice: usize, count: u32, shift: f32, best: u32): void {
  const last = local + KEYS + <usize>(best - 1) * 4;
  let i: u32 = 0;
  for (; i + 4 <= count; i += 4) {
    const score = v128.load(slice + <usize>i * 4);
    const key = f32x4.add(score, f32x4.splat(shift));
    if (!v128.any_true(f32x4.gt(key, v128.load32_splat(last)))) continue;
    for (let k = i; k < i + 4; k++) consider(slice, k, shift, best);
  }
  for (; i < count; i++) consider(slice, i, shift, best);
}

function consider(slice: usize, place: u32, shift: f32, best: u32): void {
  const score = load<f32>(slice + <usize>place * 4);
  if (score > LOWEST && isFinite(score)) insert(score + shift, place, best);
}

function list_noisy(
  slice: usize,
  count: u32,
  shift: f32,
  best: u32,
  first: u32,
  row: u32,
  generated: u32,
  seed_low: u32,
  seed_high: u32,
): void {
  for (let i: u32 = 0; i < count; i++) {
    const score = load<f32>(slice + <usize>i * 4);
    if (!(score > LOWEST && isFinite(score))) continue;
    const noise = gumbel_noise(first + i, row, generated, seed_low, seed_high);
    insert(<f32>(<f64>(score + shift) + noise), i, best);
  }
}

function store_list(slice: usize, first: u32, best: u32, ends: usize, end_count: u32, to: usize): void {
  for (let i: u32 = 0; i < best; i++, to += CANDIDATE_BYTES) {
    const key = load<f32>(local + KEYS + <usize>i * 4);
    const isFree = key == LOWEST;
    const place = load<u32>(local + TOKENS + <usize>i * 4);
    store<f32>(to, key);
    store<u32>(to, isFree ? 0 : first + place, 4);
    store<f32>(to, isFree ? LOWEST : load<f32>(slice + <usize>place * 4), 8);
    store<u32>(to, !isFree && is_listed(first + place, ends, end_count) ? 1 : 0, 12);
  }
}
