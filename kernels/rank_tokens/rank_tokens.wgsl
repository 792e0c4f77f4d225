// The scores of the tokens that may come next, after the rules of generation, and the best of each slice.
//
// One workgroup per slice of the vocabulary and row. The tokens of the row's answer that lie in the slice
// are marked in bit sets first; then lane l scores columns l, l + 64, ... of the slice; then the best are
// taken one after the other, each from the lane that has it.
//
// uses best_of_lanes: LANES, best_of_lanes
// uses grid: linear_workgroup
// uses gumbel: gumbel_noise
// uses log_normalizer: log_normalizer
// uses rules: is_end, mark_answer, ruled
// uses search_trace: Candidate, TraceRow
// uses vocabulary: Best, LOWEST, SLICE, is_finite

struct Params {
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
}

@group(0) @binding(0) var<storage, read_write> scores: array<f32>;
@group(0) @binding(1) var<storage, read> sums: array<vec4f>;
@group(0) @binding(2) var<storage, read> trace: array<TraceRow>;
@group(0) @binding(3) var<storage, read> ancestry: array<u32>;
@group(0) @binding(4) var<storage, read> position: array<u32>;
@group(0) @binding(5) var<storage, read> end_tokens: array<u32>;
@group(0) @binding(6) var<storage, read> forced_last: array<u32>;
@group(0) @binding(7) var<storage, read_write> candidates: array<Candidate>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> keys: array<f32, SLICE>;

// What the scores of the row's beam have added up to.
fn beam_score(row: u32, generated: u32) -> f32 {
  if (generated == 0u) {
    // One beam to begin with: several equal ones would find the same answer several times.
    return select(LOWEST, 0.0, row % params.width == 0u);
  }
  return trace[(generated - 1u) * params.rows + row].score;
}

fn best_of_lane(lane: u32) -> Best {
  var best = Best(keys[lane], lane);
  for (var i = lane + LANES; i < SLICE; i += LANES) {
    if (keys[i] > best.key) {
      best = Best(keys[i], i);
    }
  }
  return best;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let slices = (params.columns + SLICE - 1u) / SLICE;
  let number = linear_workgroup(group, groups);
  let row = number / slices;
  if (row >= params.rows) {
    return;
  }
  let first = number % slices * SLICE;
  let generated = position[0];

  mark_answer(row, generated, first, lane);
  var normalizer = vec2f(0.0);
  if (params.normalize != 0u) {
    normalizer = log_normalizer(row, slices, lane);
  }
  workgroupBarrier();

  let sum = beam_score(row, generated);
  for (var i = lane; i < SLICE; i += LANES) {
    let token = first + i;
    keys[i] = LOWEST;
    if (token >= params.columns) {
      continue;
    }
    let place = row * params.columns + token;
    var score = scores[place];
    // log_sum_exp reports scores that are not finite.
    if (score == LOWEST || !is_finite(score)) {
      continue;
    }
    if (params.normalize != 0u) {
      score = (score - normalizer.x) - normalizer.y;
    }
    score = ruled(score, token, i, generated);
    scores[place] = score;
    if (score == LOWEST || sum == LOWEST) {
      continue;
    }
    keys[i] = score;
    if (params.width > 1u) {
      keys[i] += sum;
    }
    if (params.noise != 0u) {
      keys[i] += gumbel_noise(token, row % params.rows_per_image, generated);
    }
  }

  var own = best_of_lane(lane);
  for (var i = 0u; i < params.best; i++) {
    let best = best_of_lanes(own, lane);
    if (best.index % LANES == lane) {
      var candidate = Candidate(LOWEST, 0u, LOWEST, 0u);
      if (best.key > LOWEST) {
        let token = first + best.index;
        candidate = Candidate(best.key, token, scores[row * params.columns + token], select(0u, 1u, is_end(token)));
      }
      candidates[number * params.best + i] = candidate;
      keys[best.index] = LOWEST;
      own = best_of_lane(lane);
    }
  }
}
