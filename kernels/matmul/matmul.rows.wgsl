// out[m, n] = activation(sum over k of x[m, k] weight[n, k] + bias[n]) + residual[m, n], where the rows of
// x or those of the residual are normalised as they are read (see matmul.store.wgsl)
//
// One workgroup of 64 lanes per 4 rows and 4 columns. Lane l sums the products of vectors l, l + 64, ...; then lane
// 4 m + n adds up the sums of all lanes for row m and column n.
//
// uses grid: linear_workgroup
// uses matmul.store: NORM_OF_X, prepare_norm, store
// uses row_statistics: normalized, statistics
// uses weights.*: four_of_weight, stored_weight

struct Params {
  M: u32,
  N: u32,
  K: u32,
  out_rows: u32,
  out_columns: u32,
  out_row: u32,
  out_column: u32,
}

override HAS_BIAS: u32 = 0;
override HAS_RESIDUAL: u32 = 0;
override ACTIVATION: u32 = 0;
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

const LANES = 64u;
const ROWS = 4u;
const COLUMNS = 4u;
// The sums of a lane; one more keeps lanes off each other's banks.
const PITCH = ROWS * COLUMNS + 1u;
var<workgroup> products: array<f32, LANES * PITCH>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let column_tiles = (params.N + COLUMNS - 1u) / COLUMNS;
  let number = linear_workgroup(group, groups);
  let first_row = number / column_tiles * ROWS;
  let first_column = number % column_tiles * COLUMNS;
  if (first_row >= params.M) {
    return;
  }
  let rows = min(params.M - first_row, ROWS);
  prepare_norm(first_row, select(LANES / ROWS, LANES / rows, rows < 3u), lane);

  let vectors = params.K / 4u;
  var sums: array<array<f32, COLUMNS>, ROWS>;
  for (var k = lane; k < vectors; k += LANES) {
    var fours: array<vec4f, ROWS>;
    for (var i = 0u; i < ROWS; i++) {
      if (i < rows) {
        fours[i] = x[(first_row + i) * vectors + k];
        if (NORM == NORM_OF_X) {
          fours[i] = normalized(fours[i], statistics[i], k);
        }
      }
    }
    for (var j = 0u; j < COLUMNS; j++) {
      let weights = four_of_weight(min(first_column + j, params.N - 1u) * vectors + k);
      for (var i = 0u; i < ROWS; i++) {
        if (i < rows) {
          sums[i][j] += dot(fours[i], weights);
        }
      }
    }
  }
  for (var i = 0u; i < ROWS; i++) {
    for (var j = 0u; j < COLUMNS; j++) {
      products[lane * PITCH + i * COLUMNS + j] = sums[i][j];
    }
  }
  workgroupBarrier();

  if (lane < rows * COLUMNS) {
    var sum = 0.0;
    for (var i = 0u; i < LANES; i++) {
      sum += products[i * PITCH + lane];
    }
    store(first_row, first_row + lane / COLUMNS, first_column + lane % COLUMNS, sum);
  }
}
