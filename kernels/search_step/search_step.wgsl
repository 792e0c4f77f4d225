// One step of every search: the best candidates of its rows become its beams, or answers that ended.
//
// One workgroup per search. All lanes look for the best candidates, of lists that are sorted each: a lane
// looks at lists l, l + 64, ..., and again only after its own best was taken. Then lane l asks what becomes of
// candidate l, by counting what is better; puts row l of the trace together; and rearranges the ancestry at
// steps l, l + 64, ...
//
// uses best_of_lanes: LANES, best_of_lanes
// uses grid: linear_workgroup
// uses log_normalizer: log_normalizer
// uses search_trace: Candidate, Ended, RADII, TraceRow
// uses search_step.candidates: best_of_lists, can_improve, look_at_candidate, place_of_beam, place_of_new_ended, place_of_old_ended
// uses vocabulary: Best, LOWEST

struct Params {
  rows: u32,
  width: u32,
  slices: u32,
  best: u32,
  capacity: u32,
  maximum: u32,
  stop_early: u32,
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
const NONE = 0xffffffffu;

struct Beam {
  token: u32,
  parent: u32,
  log_prob: f32,
  score: f32,
}

var<workgroup> chosen: array<Best, MAX_CANDIDATES>;
// The candidates as beams and as ended answers; their score is LOWEST where they are not.
var<workgroup> new_beams: array<Beam, MAX_CANDIDATES>;
var<workgroup> new_ended: array<Ended, MAX_CANDIDATES>;
var<workgroup> beams: array<Beam, MAX_WIDTH>;
var<workgroup> ended: array<Ended, MAX_WIDTH>;
var<workgroup> old_scores: array<f32, MAX_WIDTH>;
var<workgroup> histories: array<u32, MAX_WIDTH * LANES>;
var<workgroup> broken: atomic<u32>;

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
  let is_row = lane < params.width;
  let row = first_row + lane;
  let step = positions[search];
  var before = TraceRow(0u, 0u, 0.0, LOWEST, Ended(0u, 0u, 0u, 0.0, LOWEST), 0u, -1.0, 0.0, array<f32, RADII>());
  if (is_row && step > 0u) {
    before = trace[(step - 1u) * params.rows + row];
  }
  let was_done = step > 0u && trace[(step - 1u) * params.rows + first_row].done != 0u;
  for (var i = lane; i < params.width * params.slices; i += LANES) {
    if (sums[first_row * params.slices + i].z >= 0.0) {
      atomicStore(&broken, 1u);
    }
  }
  var taken = Best(-LOWEST, NONE);
  var own = taken;
  var count = 0u;
  for (var i = 0u; i < params.best; i++) {
    if (own.index == taken.index) {
      own = best_of_lists(search, taken, lane);
    }
    taken = best_of_lanes(own, lane);
    if (taken.key > LOWEST) {
      count = i + 1u;
    }
    if (lane == 0u) {
      chosen[i] = taken;
    }
  }
  var normalizer = vec2f(0.0);
  if (params.width == 1u) {
    normalizer = log_normalizer(first_row, params.slices, lane);
  }
  if (is_row) {
    // Without a beam the first row is repeated; its result is not read.
    beams[lane] = Beam(0u, first_row, 0.0, LOWEST);
    old_scores[lane] = before.ended.score;
  }
  new_beams[lane].score = LOWEST;
  new_ended[lane].score = LOWEST;
  workgroupBarrier();

  if (lane < count) {
    look_at_candidate(lane, first_row, step, normalizer);
  }
  workgroupBarrier();
  if (new_beams[lane].score > LOWEST) {
    let place = place_of_beam(lane);
    if (place < params.width) {
      beams[place] = new_beams[lane];
    }
  }
  if (new_ended[lane].score > LOWEST) {
    let place = place_of_new_ended(lane);
    if (place < params.width) {
      ended[place] = new_ended[lane];
    }
  }
  if (is_row) {
    let place = place_of_old_ended(lane);
    if (place < params.width) {
      ended[place] = before.ended;
    }
  }
  workgroupBarrier();

  let generated = step + 1u;
  let goes_on = atomicLoad(&broken) == 0u && can_improve(generated);
  if (lane == 0u) {
    positions[search] = generated;
  }
  if (was_done && is_row) {
    trace[step * params.rows + row] = before;
  } else if (is_row) {
    let beam = beams[lane];
    var broken_logit = vec2f(-1.0, 0.0);
    for (var slice = params.slices; slice > 0u; slice--) {
      let sum = sums[row * params.slices + slice - 1u];
      if (sum.z >= 0.0) {
        broken_logit = sum.zw;
      }
    }
    let done = select(1u, 0u, goes_on);
    trace[step * params.rows + row] = TraceRow(
      beam.token, beam.parent, beam.log_prob, beam.score, ended[lane], done, broken_logit.x, broken_logit.y,
      array<f32, RADII>(),
    );
    tokens[row] = beam.token;
  }
  if (was_done || !goes_on) {
    if (lane == 0u && !was_done) {
      atomicSub(&running[0], 1u);
    }
    return;
  }

  // A lane rearranges steps that no other looks at.
  for (var past = lane; past < generated; past += LANES) {
    for (var i = 0u; i < params.width; i++) {
      histories[i * LANES + lane] = ancestry[beams[i].parent * params.capacity + past];
    }
    for (var i = 0u; i < params.width; i++) {
      ancestry[(first_row + i) * params.capacity + past] = histories[i * LANES + lane];
    }
  }
  if (is_row) {
    ancestry[row * params.capacity + generated] = row;
  }
}
