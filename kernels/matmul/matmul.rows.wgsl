// out[m, outColumn + n] = gelu?(sum over k of x[m, k] weight[n, k] + bias[n]) + residual[m, outColumn + n]
//
// For few rows, where reading the weights is the work: one workgroup per 4 columns n; 64 lanes share the k
// of a column and hold the sums of all rows m, so that each weight is read once.

struct Params {
  M: u32,
  N: u32,
  outColumns: u32,
  outColumn: u32,
}

override K: u32 = 1;
override HAS_BIAS: u32 = 0;
override HAS_RESIDUAL: u32 = 0;
override HAS_GELU: u32 = 0;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const COLUMNS = 4u;
const LANES = 64u; // of one column
const MAX_ROWS = 16u;

// Sums by row, column and lane.
var<workgroup> partial: array<f32, MAX_ROWS * COLUMNS * LANES>;

@compute @workgroup_size(COLUMNS * LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let first = linear_workgroup(group, groups) * COLUMNS;
  let n = first + index / LANES;
  let lane = index % LANES;

  var sums: array<f32, MAX_ROWS>;
  if (n < params.N) {
    for (var k = lane; k < K; k += LANES) {
      let w = weight[n * K + k];
      for (var m = 0u; m < params.M; m++) {
        sums[m] += x[m * K + k] * w;
      }
    }
  }
  for (var m = 0u; m < params.M; m++) {
    partial[m * COLUMNS * LANES + index] = sums[m];
  }
  workgroupBarrier();

  // Lane r * COLUMNS + c finishes row r of column c.
  let m = index / COLUMNS;
  let column = first + index % COLUMNS;
  if (m < params.M && column < params.N) {
    var value = 0.0;
    let own = (m * COLUMNS + index % COLUMNS) * LANES;
    for (var l = 0u; l < LANES; l++) {
      value += partial[own + l];
    }
    if (HAS_BIAS != 0u) {
      value += bias[column];
    }
    if (HAS_GELU != 0u) {
      value = gelu(value);
    }
    let at = m * params.outColumns + params.outColumn + column;
    if (HAS_RESIDUAL != 0u) {
      value += residual[at];
    }
    out[at] = value;
  }
}
