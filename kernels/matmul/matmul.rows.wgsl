// out[m, outColumn + n] = gelu?(sum over k of x[m, k] weight[n, k] + bias[n]) + residual[m, outColumn + n]
//
// One workgroup of 64 lanes per 4 rows and 4 columns. Lane l sums the products of k = l, l + 64, ...; then
// lane 4m + n adds up what all lanes found for row m and column n.

struct Params {
  M: u32,
  N: u32,
  K: u32,
  outColumns: u32,
  outColumn: u32,
}

override HAS_BIAS: u32 = 0;
override HAS_RESIDUAL: u32 = 0;
override HAS_GELU: u32 = 0;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
// 16 sums of a lane; the 17th keeps lanes off each other's banks.
const PITCH = 17u;
var<workgroup> partial: array<f32, LANES * PITCH>;

fn store(row: u32, column: u32, product: f32) {
  if (row >= params.M || column >= params.N) {
    return;
  }
  var value = product;
  if (HAS_BIAS != 0u) {
    value += bias[column];
  }
  if (HAS_GELU != 0u) {
    value = gelu(value);
  }
  let place = row * params.outColumns + params.outColumn + column;
  if (HAS_RESIDUAL != 0u) {
    value += residual[place];
  }
  out[place] = value;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let lane = local.x;
  let column_tiles = (params.N + 3u) / 4u;
  let number = linear_workgroup(group, groups);
  let first_row = number / column_tiles * 4u;
  let first_column = number % column_tiles * 4u;
  if (first_row >= params.M) {
    return;
  }

  let rows = min(vec4u(first_row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.M - 1u)) * params.K;
  let columns = min(vec4u(first_column) + vec4u(0u, 1u, 2u, 3u), vec4u(params.N - 1u)) * params.K;
  var sums: array<vec4f, 4>;
  for (var k = lane; k < params.K; k += LANES) {
    let weights = vec4f(
      weight[columns.x + k],
      weight[columns.y + k],
      weight[columns.z + k],
      weight[columns.w + k],
    );
    for (var i = 0u; i < 4u; i++) {
      if (first_row + i < params.M) {
        sums[i] += x[rows[i] + k] * weights;
      }
    }
  }
  for (var i = 0u; i < 4u; i++) {
    for (var j = 0u; j < 4u; j++) {
      partial[lane * PITCH + i * 4u + j] = sums[i][j];
    }
  }
  workgroupBarrier();

  if (lane < 16u) {
    var sum = 0.0;
    for (var i = 0u; i < LANES; i++) {
      sum += partial[i * PITCH + lane];
    }
    store(first_row + lane / 4u, first_column + lane % 4u, sum);
  }
}
