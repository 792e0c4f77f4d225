// sums[r, s] = of slice s of the scores of row r: the largest, the sum of exp(score - largest), and the first
// that is not finite with its column before it (-1 where all are)
//
// One workgroup per slice and row; lane l looks at columns l, l + 64, ... of the slice.
//
// uses grid: linear_workgroup
// uses reduce: reduce_max, reduce_sum
// uses vocabulary: LOWEST, SLICE, is_finite

struct Params {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;

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
  let start = row * params.columns;
  let first = number % slices * SLICE;
  let end = min(first + SLICE, params.columns);

  var own_largest = LOWEST;
  var own_broken = params.columns;
  for (var column = first + lane; column < end; column += LANES) {
    let score = scores[start + column];
    if (is_finite(score)) {
      own_largest = max(own_largest, score);
    } else {
      own_broken = min(own_broken, column);
    }
  }
  let largest = reduce_max(own_largest, lane);
  let broken = u32(-reduce_max(-f32(own_broken), lane));

  var own_sum = 0.0;
  for (var column = first + lane; column < end; column += LANES) {
    own_sum += exp(scores[start + column] - largest);
  }
  let sum = reduce_sum(own_sum, lane);

  if (lane == 0u) {
    var column = -1.0;
    var score = 0.0;
    if (broken < params.columns) {
      column = f32(broken);
      score = scores[start + broken];
    }
    sums[number] = vec4f(largest, sum, column, score);
  }
}
