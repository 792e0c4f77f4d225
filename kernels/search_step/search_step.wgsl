// One step of every search: the best candidates of its rows become its beams, or answers that ended.
//
// One workgroup per search. All lanes look for the best candidates, of lists that are sorted each: a lane
// looks at lists l, l + 64, ..., and again only after its own best was taken. Lane 0 then does what beam
// search does; all lanes rearrange the ancestry, each its own steps.

struct Params {
  rows: u32,
  width: u32,
  slices: u32,
  best: u32,
  capacity: u32,
  normalized: u32,
  endToken: u32,
  maximum: u32,
  stopEarly: u32,
  bound: u32,
}

@group(0) @binding(0) var<storage, read> candidates: array<Candidate>;
@group(0) @binding(1) var<storage, read> sums: array<vec4f>;
@group(0) @binding(2) var<storage, read> lengths: array<f32>;
@group(0) @binding(3) var<storage, read_write> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> trace: array<TraceRow>;
@group(0) @binding(5) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(6) var<storage, read_write> ancestry: array<u32>;
@group(0) @binding(7) var<storage, read_write> running: array<atomic<u32>>;
@group(1) @binding(0) var<uniform> params: Params;

// As many as 32 beams have, and as many candidates.
const MAX_WIDTH = 32u;
const MAX_CANDIDATES = 64u;

var<workgroup> chosen: array<Best, MAX_CANDIDATES>;
var<workgroup> parents: array<u32, MAX_WIDTH>;
// How many tokens the rows have chosen; 0 if the search is done.
var<workgroup> seen: u32;
var<workgroup> broken: atomic<u32>;

// The best candidate of this lane's lists after the last one that was taken.
fn best_of_lists(search: u32, taken: Best, lane: u32) -> Best {
  let lists = params.width * params.slices;
  var best = Best(LOWEST, 0xffffffffu);
  for (var list = lane; list < lists; list += LANES) {
    for (var i = 0u; i < params.best; i++) {
      let index = list * params.best + i;
      let candidate = Best(candidates[search * lists * params.best + index].key, index);
      if (is_better(taken, candidate)) {
        if (is_better(candidate, best)) {
          best = candidate;
        }
        break;
      }
    }
  }
  return best;
}

// Puts a beam among those of this step, which are in descending score, if it is good enough.
fn add_beam(first: u32, beam: TraceRow) {
  var place = params.width;
  while (place > 0u && trace[first + place - 1u].score < beam.score) {
    place--;
  }
  for (var i = params.width - 1u; i > place && place < params.width; i--) {
    copy_beam(first + i, trace[first + i - 1u]);
  }
  if (place < params.width) {
    copy_beam(first + place, beam);
  }
}

fn copy_beam(index: u32, beam: TraceRow) {
  trace[index].token = beam.token;
  trace[index].parent = beam.parent;
  trace[index].log_prob = beam.log_prob;
  trace[index].score = beam.score;
}

fn add_ended(first: u32, ended: Ended) {
  var place = params.width;
  while (place > 0u && trace[first + place - 1u].ended.score < ended.score) {
    place--;
  }
  for (var i = params.width - 1u; i > place && place < params.width; i--) {
    trace[first + i].ended = trace[first + i - 1u].ended;
  }
  if (place < params.width) {
    trace[first + place].ended = ended;
  }
}

// Whether a beam may still end up among the best answers, by the reference's rule of thumb.
fn can_improve(first: u32, generated: u32) -> bool {
  let best = trace[first].score;
  let worst_ended = trace[first + params.width - 1u].ended.score;
  if (best == LOWEST) {
    return false;
  }
  if (worst_ended == LOWEST) {
    return true;
  }
  if (params.stopEarly != 0u) {
    return false;
  }
  let length = select(params.bound, generated, params.bound == 0u);
  return best / lengths[length] > worst_ended;
}

// Notes the first logit of the row that is not finite.
fn note_broken(index: u32, row: u32) {
  for (var slice = params.slices; slice > 0u; slice--) {
    let sum = sums[row * params.slices + slice - 1u];
    if (sum.z >= 0.0) {
      trace[index].broken_token = sum.z;
      trace[index].broken_logit = sum.w;
    }
  }
}

// What one lane does alone. Returns how many tokens the rows have chosen, 0 if the search is done.
fn advance(search: u32, count: u32) -> u32 {
  let step = positions[search];
  positions[search] = step + 1u;
  let first_row = search * params.width;
  let before = (step - 1u) * params.rows + first_row;
  let first = step * params.rows + first_row;
  var was_done = false;
  for (var i = 0u; i < params.width; i++) {
    if (step == 0u) {
      trace[first + i].ended = Ended(0u, 0u, 0u, 0.0, LOWEST);
      trace[first + i].done = 0u;
    } else {
      trace[first + i] = trace[before + i];
      was_done = trace[before + i].done != 0u;
    }
  }
  if (was_done) {
    return 0u;
  }

  let is_broken = atomicLoad(&broken) != 0u;
  for (var i = 0u; i < params.width; i++) {
    // Where there is no beam, the first row is repeated; nobody looks at what comes of it.
    copy_beam(first + i, TraceRow(0u, first_row, 0.0, LOWEST, Ended(), 0u, 0.0, 0.0));
    trace[first + i].broken_token = -1.0;
    trace[first + i].broken_logit = 0.0;
    if (is_broken) {
      note_broken(first + i, first_row + i);
    }
  }
  let generated = step + 1u;
  for (var i = 0u; i < count; i++) {
    let row = first_row + chosen[i].index / (params.best * params.slices);
    let candidate = candidates[first_row * params.slices * params.best + chosen[i].index];
    var log_prob = candidate.score;
    if (params.normalized == 0u) {
      let normalizer = log_normalizer(row, params.slices);
      log_prob = (candidate.score - normalizer.x) - normalizer.y;
    }
    var score = log_prob;
    if (step > 0u) {
      score += trace[before + row - first_row].score;
    }
    if (candidate.token != params.endToken && generated < params.maximum) {
      add_beam(first, TraceRow(candidate.token, row, log_prob, score, Ended(), 0u, 0.0, 0.0));
    } else if (i < params.width) {
      // An end that ranks below the width is not worth keeping: so many better beams are still running.
      add_ended(first, Ended(step, row, candidate.token, log_prob, score / lengths[generated]));
    }
  }
  let going_on = !is_broken && can_improve(first, generated);
  for (var i = 0u; i < params.width; i++) {
    trace[first + i].done = select(1u, 0u, going_on);
    tokens[first_row + i] = trace[first + i].token;
    parents[i] = trace[first + i].parent;
  }
  if (!going_on) {
    atomicSub(&running[0], 1u);
  }
  return select(0u, generated, going_on);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let search = linear_workgroup(group, groups);
  let first_row = search * params.width;
  if (first_row >= params.rows) {
    return;
  }

  for (var i = lane; i < params.width * params.slices; i += LANES) {
    if (sums[first_row * params.slices + i].z >= 0.0) {
      atomicStore(&broken, 1u);
    }
  }
  var own = best_of_lists(search, Best(-LOWEST, 0u), lane);
  var count = 0u;
  for (var i = 0u; i < params.best; i++) {
    let best = best_of_lanes(own, lane);
    if (best.key > LOWEST) {
      count = i + 1u;
    }
    if (lane == 0u) {
      chosen[i] = best;
    }
    if (best.index == own.index) {
      own = best_of_lists(search, best, lane);
    }
  }

  if (lane == 0u) {
    seen = advance(search, count);
  }
  let chosen_tokens = workgroupUniformLoad(&seen);
  if (chosen_tokens == 0u) {
    return;
  }
  for (var step = lane; step < chosen_tokens; step += LANES) {
    var rows: array<u32, MAX_WIDTH>;
    for (var i = 0u; i < params.width; i++) {
      rows[i] = ancestry[parents[i] * params.capacity + step];
    }
    for (var i = 0u; i < params.width; i++) {
      ancestry[(first_row + i) * params.capacity + step] = rows[i];
    }
  }
  for (var i = lane; i < params.width; i += LANES) {
    ancestry[(first_row + i) * params.capacity + chosen_tokens] = first_row + i;
  }
}
