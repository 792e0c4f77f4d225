// out[r, c] = (normed[r, c] - mean(normed[r])) / sqrt(variance(normed[r]) + EPSILON) * norm_weight[c]
//   + norm_bias[c]
//
// One workgroup per 4 rows, 16 lanes to each (see row_statistics.wgsl), four columns at a time.
//
// uses grid: linear_workgroup
// uses row_statistics: find_statistics, normalized, statistics

struct Params {
  rows: u32,
  vectors: u32,
}

@group(0) @binding(0) var<storage, read> normed: array<vec4f>;
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> norm_bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
const ROWS = 4u;
const SHARE = LANES / ROWS;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let first_row = linear_workgroup(group, groups) * ROWS;
  if (first_row >= params.rows) {
    return;
  }
  find_statistics(first_row, params.rows - 1u, params.vectors, SHARE, lane);
  let row = lane / SHARE;
  if (first_row + row >= params.rows) {
    return;
  }
  let start = (first_row + row) * params.vectors;
  for (var v = lane % SHARE; v < params.vectors; v += SHARE) {
    out[start + v] = normalized(normed[start + v], statistics[row], v);
  }
}
