// weight = P A V and bias = P A v + p, where P = proj_weight, p = proj_bias, V and v are the last thirds of qkv_weight
// and qkv_bias, and A is block-diagonal: per group softmax(scale * sum over chunks of partials[chunk, g]) along rows
//
// One workgroup of 16 x 16 per 64 rows and 64 columns of the weight, groups one after the other: their attention
// into workgroup memory, then 64 rows of P A, then the products with V. Invocation (u, v) computes rows 4v..4v+3
// of columns 4u..4u+3.

struct Params {
  chunks: u32,
  groups: u32,
  scale: f32,
}

override D: u32 = 4;

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read> qkv_weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> qkv_bias: array<f32>;
@group(0) @binding(3) var<storage, read> proj_weight: array<f32>;
@group(0) @binding(4) var<storage, read> proj_bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> weight: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> bias: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 256u;
const TILE = 64u;
// One beyond the widest group keeps lanes off each other's banks.
const PITCH = 33u;
var<workgroup> attention: array<f32, D * D>;
var<workgroup> mixed: array<f32, TILE * PITCH>;

fn find_attention(group: u32, lane: u32) {
  for (var i = lane; i < D * D; i += LANES) {
    var score = 0.0;
    for (var chunk = 0u; chunk < params.chunks; chunk++) {
      score += partials[(chunk * params.groups + group) * D * D + i];
    }
    attention[i] = score * params.scale;
  }
  workgroupBarrier();
  if (lane < D) {
    let row = lane * D;
    var highest = attention[row];
    for (var d = 1u; d < D; d++) {
      highest = max(highest, attention[row + d]);
    }
    var total = 0.0;
    for (var d = 0u; d < D; d++) {
      total += exp(attention[row + d] - highest);
    }
    for (var d = 0u; d < D; d++) {
      attention[row + d] = exp(attention[row + d] - highest) / total;
    }
  }
  workgroupBarrier();
}

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let C = params.groups * D;
  let tiles = (C + TILE - 1u) / TILE;
  let number = linear_workgroup(group, groups);
  let first_row = number / tiles * TILE;
  let column = number % tiles * TILE + local.x * 4u;
  if (first_row >= C) {
    return;
  }

  var sums: array<vec4f, 4>;
  var shift = 0.0;
  for (var g = 0u; g < params.groups; g++) {
    find_attention(g, lane);
    for (var i = lane; i < TILE * D; i += LANES) {
      let row = min(first_row + i / D, C - 1u);
      var sum = 0.0;
      for (var c = 0u; c < D; c++) {
        sum += proj_weight[row * C + g * D + c] * attention[c * D + i % D];
      }
      mixed[i / D * PITCH + i % D] = sum;
    }
    workgroupBarrier();
    for (var d = 0u; d < D; d++) {
      let value = qkv_weight[((2u * C + g * D + d) * C + min(column, C - 4u)) / 4u];
      for (var i = 0u; i < 4u; i++) {
        sums[i] += mixed[(local.y * 4u + i) * PITCH + d] * value;
      }
    }
    if (lane < TILE) {
      for (var d = 0u; d < D; d++) {
        shift += mixed[lane * PITCH + d] * qkv_bias[2u * C + g * D + d];
      }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < 4u; i++) {
    let row = first_row + local.y * 4u + i;
    if (row < C && column < C) {
      weight[(row * C + column) / 4u] = sums[i];
    }
  }
  if (lane < TILE && first_row + lane < C && number % tiles == 0u) {
    bias[first_row + lane] = shift + proj_bias[first_row + lane];
  }
}
