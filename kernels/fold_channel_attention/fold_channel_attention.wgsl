// weight = P A V and bias = P A v + p, where P = proj_weight, p = proj_bias, V and v are the last thirds of qkv_weight
// and qkv_bias, and A is block-diagonal: per group softmax(scale * sum over chunks of partials[chunk, g]) along rows
//
// One workgroup of 16 x 16 per 64 rows and 64 columns of the weight, groups one after the other: their attention
// into workgroup memory, then 64 rows of P A, then the products with V. Invocation (u, v) computes rows 4v..4v+3
// of columns 4u..4u+3.
//
// uses fold_channel_attention.attention: QUADS, attention, find_attention
// uses grid: linear_workgroup
// uses weights.*: four_of_proj_weight, four_of_qkv_weight, stored_proj_weight, stored_qkv_weight

struct Params {
  chunks: u32,
  groups: u32,
  scale: f32,
}

override D: u32 = 4;

@group(0) @binding(0) var<storage, read> partials: array<vec4f>;
@group(0) @binding(1) var<storage, read> qkv_weight: array<stored_qkv_weight>;
@group(0) @binding(2) var<storage, read> qkv_bias: array<f32>;
@group(0) @binding(3) var<storage, read> proj_weight: array<stored_proj_weight>;
@group(0) @binding(4) var<storage, read> proj_bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> weight: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> bias: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 256u;
const TILE = 64u;
// Vectors of a row: eight of the widest group; the ninth keeps lanes off each other's banks.
const PITCH = 9u;
var<workgroup> mixed: array<vec4f, TILE * PITCH>;

// Four rows of P A at a time, four columns of the group to a lane.
fn mix(group: u32, first_row: u32, lane: u32) {
  let last_row = params.groups * D - 1u;
  for (var i = lane; i < TILE / 4u * QUADS; i += LANES) {
    let row = i / QUADS * 4u;
    let quad = i % QUADS;
    var sums = array<vec4f, 4>();
    for (var c = 0u; c < QUADS; c++) {
      let four = c * 4u * QUADS + quad;
      let columns = mat4x4f(
        attention[four],
        attention[four + QUADS],
        attention[four + 2u * QUADS],
        attention[four + 3u * QUADS],
      );
      for (var r = 0u; r < 4u; r++) {
        let output = min(first_row + row + r, last_row);
        sums[r] += columns * four_of_proj_weight((output * params.groups + group) * QUADS + c);
      }
    }
    for (var r = 0u; r < 4u; r++) {
      mixed[(row + r) * PITCH + quad] = sums[r];
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
  // Of vectors of four.
  let vectors = C / 4u;
  let column = number % tiles * TILE / 4u + local.x;
  if (first_row >= C) {
    return;
  }

  var sums: array<vec4f, 4>;
  var shift = 0.0;
  for (var g = 0u; g < params.groups; g++) {
    find_attention(g, lane);
    mix(g, first_row, lane);
    for (var quad = 0u; quad < QUADS; quad++) {
      let first = ((2u * params.groups + g) * D + quad * 4u) * vectors + min(column, vectors - 1u);
      let values = mat4x4f(
        four_of_qkv_weight(first),
        four_of_qkv_weight(first + vectors),
        four_of_qkv_weight(first + 2u * vectors),
        four_of_qkv_weight(first + 3u * vectors),
      );
      for (var i = 0u; i < 4u; i++) {
        sums[i] += values * mixed[(local.y * 4u + i) * PITCH + quad];
      }
    }
    if (lane < TILE) {
      for (var quad = 0u; quad < QUADS; quad++) {
        let c = (2u * params.groups + g) * D + quad * 4u;
        let four = vec4f(qkv_bias[c], qkv_bias[c + 1u], qkv_bias[c + 2u], qkv_bias[c + 3u]);
        shift += dot(mixed[lane * PITCH + quad], four);
      }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < 4u; i++) {
    let row = first_row + local.y * 4u + i;
    if (row < C && column < vectors) {
      weight[row * vectors + column] = sums[i];
    }
  }
  if (lane < TILE && first_row + lane < C && number % tiles == 0u) {
    bias[first_row + lane] = shift + proj_bias[first_row + lane];
  }
}
