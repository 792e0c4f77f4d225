// out[place(m, n)] = gelu?(sum over k of x[m, k] weight[n, k] + bias[n]) + residual[place(m, n)], where the rows of
// x or those of the residual are normalised as they are read (see matmul.store.wgsl)
//
// One workgroup of 32 invocations per 16 x 64 outputs; lane l computes 16 rows of columns l and l + 32 (see
// sixteen_rows.wgsl) and reads the weights of its columns itself.

struct Params {
  M: u32,
  N: u32,
  K: u32,
  outRows: u32,
  outColumns: u32,
  outRow: u32,
  outColumn: u32,
}

override HAS_BIAS: u32 = 0;
override HAS_RESIDUAL: u32 = 0;
override HAS_GELU: u32 = 0;
override NORM: u32 = 0;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<stored_weight>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read> normed: array<vec4f>;
@group(0) @binding(5) var<storage, read> norm_weight: array<vec4f>;
@group(0) @binding(6) var<storage, read> norm_bias: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 32u;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, at: Lane) {
  let lane = lane_of(at);
  let column_tiles = (params.N + 2u * LANES - 1u) / (2u * LANES);
  let number = linear_workgroup(group, groups);
  let first_row = number / column_tiles * ROWS;
  let column = number % column_tiles * 2u * LANES + lane;
  if (first_row >= params.M) {
    return;
  }

  prepare_norm(first_row, LANES / ROWS, at);

  let vectors = params.K / 4u;
  let last_row = params.M - 1u;
  let last_column = params.N - 1u;
  let upper_row = min(first_row + at.place % 8u, last_row) * vectors;
  let lower_row = min(first_row + 8u + at.place % 8u, last_row) * vectors;
  let upper_statistics = statistics[at.place % 8u];
  let lower_statistics = statistics[8u + at.place % 8u];
  let left_column = min(column, last_column) * vectors;
  let right_column = min(column + LANES, last_column) * vectors;
  let are_many = params.M - first_row > FEW;
  for (var k = 0u; k < vectors; k++) {
    var upper = x[upper_row + k];
    var lower = vec4f(0.0);
    if (are_many) {
      lower = x[lower_row + k];
    }
    if (NORM == NORM_OF_X) {
      upper = normalized(upper, upper_statistics, k);
      lower = normalized(lower, lower_statistics, k);
    }
    let left = four_of_weight(left_column + k);
    let right = four_of_weight(right_column + k);
    add_products(upper, lower, left, right, are_many);
  }

  for (var row = first_row; row <= min(first_row + ROWS - 1u, last_row); row++) {
    let both = next_sums();
    store(first_row, row, column, both.x);
    store(first_row, row, column + LANES, both.y);
  }
}
