// weight = P A V and bias = P A v + p, where P = proj_weight, p = proj_bias, V and v are the last thirds of qkv_weight
// and qkv_bias, and A is block-diagonal: per group softmax(scale * sum over chunks of partials[chunk, g]) along rows
//
// One workgroup of 128 invocations per 16 rows and 512 columns of the weight, groups one after the other: their
// attention into workgroup memory, then 16 rows of P A, four columns to a lane, then the products with V: lane l sums
// all rows of columns 4l..4l+3 (see sixteen_rows.wgsl).

struct Params {
  chunks: u32,
  groups: u32,
  scale: f32,
}

override D: u32 = 32;

@group(0) @binding(0) var<storage, read> partials: array<vec4f>;
@group(0) @binding(1) var<storage, read> qkv_weight: array<stored_qkv_weight>;
@group(0) @binding(2) var<storage, read> qkv_bias: array<f32>;
@group(0) @binding(3) var<storage, read> proj_weight: array<stored_proj_weight>;
@group(0) @binding(4) var<storage, read> proj_bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> weight: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> bias: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 128u;
var<workgroup> mixed: array<vec4f, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, at: Lane) {
  let lane = lane_of(at);
  let C = params.groups * D;
  // Of vectors of four.
  let vectors = C / 4u;
  let tiles = (vectors + LANES - 1u) / LANES;
  let number = linear_workgroup(group, groups);
  let first_row = number / tiles * ROWS;
  let column = number % tiles * LANES + lane;
  let own = min(column, vectors - 1u);
  if (first_row >= C) {
    return;
  }

  let own_row = min(first_row + lane / QUADS, C - 1u);
  let upper_row = at.place % 8u * QUADS;
  let lower_row = upper_row + 8u * QUADS;
  var sums: Sums;
  var shift = 0.0;
  for (var g = 0u; g < params.groups; g++) {
    find_attention(g, lane);
    var four = vec4f(0.0);
    for (var c = 0u; c < QUADS; c++) {
      let i = c * 4u * QUADS + lane % QUADS;
      let rows = mat4x4f(
        attention[i],
        attention[i + QUADS],
        attention[i + 2u * QUADS],
        attention[i + 3u * QUADS],
      );
      four += rows * four_of_proj_weight((own_row * params.groups + g) * QUADS + c);
    }
    mixed[lane] = four;
    workgroupBarrier();

    let first_value = (2u * params.groups + g) * D;
    for (var quad = 0u; quad < QUADS; quad++) {
      let i = (first_value + quad * 4u) * vectors + own;
      let values = mat4x4f(
        four_of_qkv_weight(i),
        four_of_qkv_weight(i + vectors),
        four_of_qkv_weight(i + 2u * vectors),
        four_of_qkv_weight(i + 3u * vectors),
      );
      add_products(&sums, mixed[upper_row + quad], mixed[lower_row + quad], values, true);
    }
    if (lane < ROWS) {
      for (var quad = 0u; quad < QUADS; quad++) {
        let c = first_value + quad * 4u;
        let four = vec4f(qkv_bias[c], qkv_bias[c + 1u], qkv_bias[c + 2u], qkv_bias[c + 3u]);
        shift += dot(mixed[lane * QUADS + quad], four);
      }
    }
    workgroupBarrier();
  }

  for (var row = first_row; row < min(first_row + ROWS, C); row++) {
    let four = next_sums(&sums);
    if (column < vectors) {
      weight[row * vectors + column] = four;
    }
  }
  if (lane < ROWS && first_row + lane < C && number % tiles == 0u) {
    bias[first_row + lane] = shift + proj_bias[first_row + lane];
  }
}
