// out[m, n] = activation(sum over k of x[m, k] weight[n, k] + bias[n]) + residual[m, n], where the rows of
// x or those of the residual are normalised as they are read (see matmul.store.wgsl)
//
// One workgroup of LANES invocations per TILE x TILE outputs. The sum runs over slabs of products that pass through
// workgroup memory, four to a vector; lane SLAB r + q brings vector q of rows r, r + LANES/SLAB, ... of x and of
// weight. Who adds up which products is said in tile.lanes.wgsl and tile.matrices.wgsl.
//
// uses grid: linear_workgroup
// uses matmul.store: NORM_OF_X, prepare_norm
// uses row_statistics: normalized, statistics
// uses tile.*: LANES, Lane, OwnSums, PITCH, SLAB, TURNS, add_slab, lane_of, stage, store_turn
// uses weights.*: four_of_weight, stored_weight
// uses constants: TILE

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

const ROWS = TILE;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, at: Lane) {
  let lane = lane_of(at);
  let column_tiles = (params.N + TILE - 1u) / TILE;
  let number = linear_workgroup(group, groups);
  let first_row = number / column_tiles * TILE;
  let first_column = number % column_tiles * TILE;
  if (first_row >= params.M) {
    return;
  }

  prepare_norm(first_row, LANES / ROWS, lane);

  let vectors = params.K / 4u;
  let r = lane / SLAB;
  let q = lane % SLAB;
  var sums: OwnSums;
  for (var start = 0u; start < vectors; start += SLAB) {
    for (var part = 0u; part < TILE; part += LANES / SLAB) {
      let row = first_row + part + r;
      let column = first_column + part + r;
      var from_x = vec4f(0.0);
      var from_weight = vec4f(0.0);
      if (start + q < vectors && row < params.M) {
        from_x = x[row * vectors + start + q];
        if (NORM == NORM_OF_X) {
          from_x = normalized(from_x, statistics[part + r], start + q);
        }
      }
      if (start + q < vectors && column < params.N) {
        from_weight = four_of_weight(column * vectors + start + q);
      }
      stage((part + r) * PITCH + q, from_x, from_weight);
    }
    workgroupBarrier();
    add_slab(&sums, lane);
    workgroupBarrier();
  }
  for (var turn = 0u; turn < TURNS; turn++) {
    store_turn(turn, &sums, first_row, first_column, lane);
  }
}
