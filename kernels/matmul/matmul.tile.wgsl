// out[place(m, n)] = gelu?(sum over k of x[m, k] weight[n, k] + bias[n]) + residual[place(m, n)], where the rows of
// x or those of the residual are normalised as they are read (see matmul.store.wgsl)
//
// One workgroup of 16 x 8 per 64 x 64 outputs; invocation (u, v) computes rows v, v + 8, ... v + 56 of columns
// u, u + 16, u + 32, u + 48. The sum runs over slabs of 16 products that pass through workgroup memory, four
// to a vector; lane 4r + q brings vector q of rows r and r + 32 of x and of weight.

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

const TILE = 64u;
const ROWS = TILE;
const LANES = 128u;
const SLAB = 4u;
// Four vectors of a row; the fifth keeps lanes off each other's banks.
const PITCH = 5u;
var<workgroup> x_tile: array<vec4f, TILE * PITCH>;
var<workgroup> weight_tile: array<vec4f, TILE * PITCH>;

@compute @workgroup_size(16, 8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
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
  var sums: array<vec4f, 8>;
  for (var start = 0u; start < vectors; start += SLAB) {
    for (var part = 0u; part < TILE; part += TILE / 2u) {
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
      x_tile[(part + r) * PITCH + q] = from_x;
      weight_tile[(part + r) * PITCH + q] = from_weight;
    }
    workgroupBarrier();

    for (var k = 0u; k < SLAB; k++) {
      let weights = transpose(mat4x4f(
        weight_tile[local.x * PITCH + k],
        weight_tile[(local.x + 16u) * PITCH + k],
        weight_tile[(local.x + 32u) * PITCH + k],
        weight_tile[(local.x + 48u) * PITCH + k],
      ));
      for (var i = 0u; i < 8u; i++) {
        let four = x_tile[(local.y + i * 8u) * PITCH + k];
        sums[i] += four.x * weights[0];
        sums[i] += four.y * weights[1];
        sums[i] += four.z * weights[2];
        sums[i] += four.w * weights[3];
      }
    }
    workgroupBarrier();
  }

  // Rows move up as they are stored: without an index that varies, all stay in registers, and compilers
  // that do not unroll this are quick about it.
  let column = first_column + local.x;
  for (var row = first_row + local.y; row < first_row + TILE; row += 8u) {
    store(first_row, row, column, sums[0].x);
    store(first_row, row, column + 16u, sums[0].y);
    store(first_row, row, column + 32u, sums[0].z);
    store(first_row, row, column + 48u, sums[0].w);
    for (var i = 1u; i < 8u; i++) {
      sums[i - 1u] = sums[i];
    }
  }
}
