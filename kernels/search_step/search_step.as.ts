// A unit is a search: what its candidates become, one after the other, as in search_step.twin.ts.
import { local } from "../shared/memory.as";
import { CANDIDATE_BYTES, DONE, largest_score, log_sum, MASSES, RADII, SCORE, TRACE_BYTES } from "../shared/search.as";
import { LOWEST } from "../shared/vocabulary.as";

/* Local memory: lists, best first, each as long as it has to be for MOST_BEAMS beams and twice as many candidates. */
const MOST_BEAMS: usize = 32;
/** Candidates: their key, and their number in the search. */
const KEYS: usize = 0;
const NUMBERS: usize = KEYS + 2 * MOST_BEAMS * 4;
/** New beams: token, parent, log-probability, score, as in the trace. */
const BEAM_BYTES: usize = 16;
const BEAMS: usize = NUMBERS + 2 * MOST_BEAMS * 4;
/** Ended answers: step, parent, token, log-probability, score, as in the trace. */
const ENDED_BYTES: usize = 20;
const ENDED: usize = BEAMS + MOST_BEAMS * BEAM_BYTES;
/** The histories of the beams before they move. */
const HISTORIES: usize = ENDED + MOST_BEAMS * ENDED_BYTES;
/** Of a row of the trace. */
const ENDED_IN_TRACE: usize = 16;
const ENDED_SCORE: usize = 16;
const BROKEN_TOKEN: usize = 40;

export function search_step_units(
  rows: u32,
  width: u32,
  slices: u32,
  best: u32,
  capacity: u32,
  maximum: u32,
  stop_early: u32,
  bound: u32,
): u32 {
  return rows / width;
}

export function search_step(
  candidates: usize,
  sums: usize,
  lengths: usize,
  positions: usize,
  trace: usize,
  tokens: usize,
  ancestry: usize,
  running: usize,
  rows: u32,
  width: u32,
  slices: u32,
  best: u32,
  capacity: u32,
  maximum: u32,
  stop_early: u32,
  bound: u32,
  begin: u32,
  end: u32,
): void {
  for (let search = begin; search < end; search++) {
    const first = search * width;
    const step = load<u32>(positions + <usize>search * 4);
    store<u32>(positions + <usize>search * 4, step + 1);
    const before = step > 0 ? trace + <usize>((step - 1) * rows + first) * TRACE_BYTES : 0;
    const after = trace + <usize>(step * rows + first) * TRACE_BYTES;
    if (before && load<u32>(before, DONE) != 0) {
      memory.copy(after, before, <usize>width * TRACE_BYTES);
      continue;
    }
    const own = candidates + <usize>(first * slices * best) * CANDIDATE_BYTES;
    const count = list_candidates(own, width * slices * best, best);
    start_lists(before, width);
    for (let i: u32 = 0; i < count; i++) {
      const number = load<u32>(local + NUMBERS + <usize>i * 4);
      const candidate = own + <usize>number * CANDIDATE_BYTES;
      const parent = number / (slices * best);
      const token = load<u32>(candidate, 4);
      let log_prob = load<f32>(candidate, 8);
      if (width == 1) {
        const of_row = sums + <usize>(first * slices) * 16;
        const largest = largest_score(of_row, slices);
        log_prob = log_prob - largest - log_sum(of_row, slices, largest);
      }
      const score = log_prob + (before ? load<f32>(before + parent * TRACE_BYTES, SCORE) : 0);
      if (load<u32>(candidate, 12) == 0 && step + 1 < maximum) add_beam(token, first + parent, log_prob, score, width);
      // An end that ranks below the width is not worth keeping: so many better beams are still running.
      else if (i < width)
        add_ended(step, first + parent, token, log_prob, score / load<f32>(lengths + <usize>(step + 1) * 4), width);
    }
    const is_broken = store_broken(sums, first, width, slices, after);
    const goes_on = !is_broken && can_improve(lengths, width, step + 1, stop_early, bound);
    for (let i: u32 = 0; i < width; i++) {
      const row = after + <usize>i * TRACE_BYTES;
      const beam = local + BEAMS + <usize>i * BEAM_BYTES;
      // Where there is no beam, the first row is repeated. Nothing reads what comes of it.
      if (load<f32>(beam, 12) == LOWEST) store<u32>(beam, first, 4);
      memory.copy(row, beam, BEAM_BYTES);
      memory.copy(row + ENDED_IN_TRACE, local + ENDED + <usize>i * ENDED_BYTES, ENDED_BYTES);
      store<u32>(row, goes_on ? 0 : 1, DONE);
      memory.fill(row + MASSES, 0, RADII * 4);
      store<u32>(tokens + <usize>(first + i) * 4, load<u32>(row));
    }
    if (goes_on) move_histories(ancestry, after, first, width, capacity, step + 1);
    else atomic.sub<u32>(running, 1);
  }
}

/** Lists the best candidates of a search; of equal ones the first goes first. Gives their number. */
function list_candidates(own: usize, total: u32, best: u32): u32 {
  const keys = local + KEYS;
  const numbers = local + NUMBERS;
  let count: u32 = 0;
  for (let number: u32 = 0; number < total; number++, own += CANDIDATE_BYTES) {
    const key = load<f32>(own);
    if (!(key > LOWEST) || (count == best && !(key > load<f32>(keys + <usize>(best - 1) * 4)))) continue;
    if (count < best) count++;
    let i = count - 1;
    for (; i > 0 && key > load<f32>(keys + <usize>(i - 1) * 4); i--) {
      store<f32>(keys + <usize>i * 4, load<f32>(keys + <usize>(i - 1) * 4));
      store<u32>(numbers + <usize>i * 4, load<u32>(numbers + <usize>(i - 1) * 4));
    }
    store<f32>(keys + <usize>i * 4, key);
    store<u32>(numbers + <usize>i * 4, number);
  }
  return count;
}

/** No beams, and the ended answers of the step before. */
function start_lists(before: usize, width: u32): void {
  for (let i: usize = 0; i < <usize>width; i++) {
    const beam = local + BEAMS + i * BEAM_BYTES;
    memory.fill(beam, 0, BEAM_BYTES);
    store<f32>(beam, LOWEST, 12);
    const ended = local + ENDED + i * ENDED_BYTES;
    if (before) memory.copy(ended, before + i * TRACE_BYTES + ENDED_IN_TRACE, ENDED_BYTES);
    else {
      memory.fill(ended, 0, ENDED_BYTES);
      store<f32>(ended, LOWEST, ENDED_SCORE);
    }
  }
}

/** Makes room in a list of `width` entries for a score, behind those that are as good; 0 if it is below all. */
function room_for(score: f32, list: usize, bytes: usize, score_at: usize, width: u32): usize {
  let i = <usize>width;
  while (i > 0 && score > load<f32>(list + (i - 1) * bytes + score_at)) i--;
  if (i == <usize>width) return 0;
  const at = list + i * bytes;
  memory.copy(at + bytes, at, (<usize>width - 1 - i) * bytes);
  return at;
}

function add_beam(token: u32, parent: u32, log_prob: f32, score: f32, width: u32): void {
  const at = room_for(score, local + BEAMS, BEAM_BYTES, 12, width);
  if (!at) return;
  store<u32>(at, token);
  store<u32>(at, parent, 4);
  store<f32>(at, log_prob, 8);
  store<f32>(at, score, 12);
}

function add_ended(step: u32, parent: u32, token: u32, log_prob: f32, score: f32, width: u32): void {
  const at = room_for(score, local + ENDED, ENDED_BYTES, ENDED_SCORE, width);
  if (!at) return;
  store<u32>(at, step);
  store<u32>(at, parent, 4);
  store<u32>(at, token, 8);
  store<f32>(at, log_prob, 12);
  store<f32>(at, score, ENDED_SCORE);
}

/** Writes the first logit of each row that is not finite into the trace. Tells whether there is one. */
function store_broken(sums: usize, first: u32, width: u32, slices: u32, after: usize): bool {
  let is_broken = false;
  for (let i: u32 = 0; i < width; i++, after += TRACE_BYTES) {
    store<f32>(after, -1, BROKEN_TOKEN);
    store<f32>(after, 0, BROKEN_TOKEN + 4);
    for (let s: u32 = 0; s < slices; s++) {
      const slice = sums + <usize>((first + i) * slices + s) * 16;
      if (!(load<f32>(slice, 8) >= 0)) continue;
      store<u64>(after, load<u64>(slice, 8), BROKEN_TOKEN);
      is_broken = true;
      break;
    }
  }
  return is_broken;
}

/** Whether a beam may still end up among the best answers, by the reference's rule of thumb. */
function can_improve(lengths: usize, width: u32, generated: u32, stop_early: u32, bound: u32): bool {
  const best = load<f32>(local + BEAMS, 12);
  const worst_ended = load<f32>(local + ENDED + <usize>(width - 1) * ENDED_BYTES, ENDED_SCORE);
  if (best == LOWEST) return false;
  if (worst_ended == LOWEST) return true;
  const length = load<f32>(lengths + <usize>(bound ? bound : generated) * 4);
  return !stop_early && best / length > worst_ended;
}

function move_histories(ancestry: usize, after: usize, first: u32, width: u32, capacity: u32, generated: u32): void {
  const bytes = <usize>generated * 4;
  const stride = <usize>capacity * 4;
  for (let i: usize = 0; i < <usize>width; i++) {
    const parent = <usize>load<u32>(after + i * TRACE_BYTES, 4);
    memory.copy(local + HISTORIES + i * bytes, ancestry + parent * stride, bytes);
  }
  for (let i: usize = 0; i < <usize>width; i++) {
    const row = ancestry + (<usize>first + i) * stride;
    memory.copy(row, local + HISTORIES + i * bytes, bytes);
    store<u32>(row + bytes, first + <u32>i);
  }
}
