// out[m, n] = gelu?(sum over k of x[m, k] weight[n, k] + bias[n]) + residual[m, n], where the rows of
// x or those of the residual are normalised as they are read (see matmul.store.wgsl)
//
// One workgroup of 32 invocations per 16 x 128 outputs; lane l computes 16 rows of columns l, l + 32, l + 64 and
// l + 96 (see sixteen_rows.wgsl) and reads the weights of its columns itself.

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
const COLUMNS = 4u * LANES;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, at: Lane) {
  let lane = lane_of(at);
  let column_tiles = (params.N + COLUMNS - 1u) / COLUMNS;
  let number = linear_workgroup(group, groups);
  let first_row = number / column_tiles * ROWS;
  let columns = number % column_tiles * COLUMNS + lane + LANES * vec4u(0u, 1u, 2u, 3u);
  if (first_row >= params.M) {
    return;
  }

  prepare_norm(first_row, LANES / ROWS, at);

  let vectors = params.K / 4u;
  let last_row = params.M - 1u;
  let upper_row = min(first_row + at.place % 8u, last_row) * vectors;
  let lower_row = min(first_row + 8u + at.place % 8u, last_row) * vectors;
  let upper_statistics = statistics[at.place % 8u];
  let lower_statistics = statistics[8u + at.place % 8u];
  let starts = min(columns, vec4u(params.N - 1u)) * vectors;
  let are_many = params.M - first_row > FEW;
  var sums: Sums;
  for (var k = 0u; k < vectors; k++) {
    var upper = x[upper_row + k];
    var lower = vec4f(0.0);
    if (are_many) {
      lower = x[lower_row + k];
    }
    if (NORM == NORM_OF_X) {
      read_norm(k, vectors, at);
      upper = normalized_together(upper, upper_statistics, k);
      lower = normalized_together(lower, lower_statistics, k);
    }
    add_products(&sums, upper, lower, weights_of_columns(starts, k), are_many);
  }

  let starts_of_out = vec4u(start_of(columns.x), start_of(columns.y), start_of(columns.z), start_of(columns.w));
  for (var row = first_row; row <= min(first_row + ROWS - 1u, last_row); row++) {
    let four = next_sums(&sums);
    store_from(starts_of_out.x, first_row, row, columns.x, four.x);
    store_from(starts_of_out.y, first_row, row, columns.y, four.y);
    store_from(starts_of_out.z, first_row, row, columns.z, four.z);
    store_from(starts_of_out.w, first_row, row, columns.w, four.w);
  }
}
