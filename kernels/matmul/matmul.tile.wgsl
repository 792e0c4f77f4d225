// out[m, outColumn + n] = gelu?(sum over k of x[m, k] weight[n, k] + bias[n]) + residual[m, outColumn + n]
//
// One workgroup per 64 x 64 tile of the result; invocation (i, j) of 16 x 16 holds rows 4i..4i+3 and columns
// 4j..4j+3. Slices of 16 k go through workgroup memory, k first, so that four rows or columns are one vec4.

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

const TILE = 64u;
const SLICE = 16u;
const QUADS = 16u; // TILE / 4

var<workgroup> xs: array<array<vec4f, QUADS>, SLICE>;
var<workgroup> ws: array<array<vec4f, QUADS>, SLICE>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = linear_workgroup(group, groups);
  let tiles = (params.N + TILE - 1u) / TILE;
  let row = index / tiles * TILE;
  let column = index % tiles * TILE;
  if (row >= params.M) {
    return;
  }
  // Loading: lane l brings k = l % 16 of the four rows and columns of quad l / 16.
  let k_own = lane % SLICE;
  let quad = lane / SLICE;
  let i = lane / QUADS;
  let j = lane % QUADS;

  var sums: array<vec4f, 4>;
  for (var slice = 0u; slice < (K + SLICE - 1u) / SLICE; slice++) {
    let k = slice * SLICE + k_own;
    var x_quad = vec4f();
    var w_quad = vec4f();
    if (k < K) {
      for (var r = 0u; r < 4u; r++) {
        let m = row + 4u * quad + r;
        if (m < params.M) {
          x_quad[r] = x[m * K + k];
        }
        let n = column + 4u * quad + r;
        if (n < params.N) {
          w_quad[r] = weight[n * K + k];
        }
      }
    }
    xs[k_own][quad] = x_quad;
    ws[k_own][quad] = w_quad;
    workgroupBarrier();
    for (var s = 0u; s < SLICE; s++) {
      let a = xs[s][i];
      let b = ws[s][j];
      sums[0] = fma(vec4f(a.x), b, sums[0]);
      sums[1] = fma(vec4f(a.y), b, sums[1]);
      sums[2] = fma(vec4f(a.z), b, sums[2]);
      sums[3] = fma(vec4f(a.w), b, sums[3]);
    }
    workgroupBarrier();
  }

  for (var r = 0u; r < 4u; r++) {
    for (var c = 0u; c < 4u; c++) {
      let m = row + 4u * i + r;
      let n = column + 4u * j + c;
      if (m < params.M && n < params.N) {
        var value = sums[r][c];
        if (HAS_BIAS != 0u) {
          value += bias[n];
        }
        if (HAS_GELU != 0u) {
          value = gelu(value);
        }
        let at = m * params.outColumns + params.outColumn + n;
        if (HAS_RESIDUAL != 0u) {
          value += residual[at];
        }
        out[at] = value;
      }
    }
  }
}
