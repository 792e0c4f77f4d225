// sums[r, s] = of slice s of the scores of row r: the largest, the sum of exp(score - largest), and the first
// that is not finite with its column before it (-1 where all are)
//
// One workgroup per slice and row; lane l looks at columns l, l + 64, ... of the slice.

struct Params {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
var<workgroup> largest: array<f32, LANES>;
var<workgroup> sum: array<f32, LANES>;
var<workgroup> broken: array<u32, LANES>;

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
  largest[lane] = own_largest;
  broken[lane] = own_broken;
  workgroupBarrier();
  for (var width = LANES / 2u; width > 0u; width /= 2u) {
    if (lane < width) {
      largest[lane] = max(largest[lane], largest[lane + width]);
      broken[lane] = min(broken[lane], broken[lane + width]);
    }
    workgroupBarrier();
  }

  var own_sum = 0.0;
  for (var column = first + lane; column < end; column += LANES) {
    own_sum += exp(scores[start + column] - largest[0]);
  }
  sum[lane] = own_sum;
  workgroupBarrier();
  for (var width = LANES / 2u; width > 0u; width /= 2u) {
    if (lane < width) {
      sum[lane] += sum[lane + width];
    }
    workgroupBarrier();
  }

  if (lane == 0u) {
    var column = -1.0;
    var score = 0.0;
    if (broken[0] < params.columns) {
      column = f32(broken[0]);
      score = scores[start + broken[0]];
    }
    sums[number] = vec4f(largest[0], sum[0], column, score);
  }
}
