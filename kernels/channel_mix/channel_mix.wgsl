// out[n, g, c] = sum over d of attention[g, c, d] * v[n, g, d], where a row of qkv is q, k and v side by
// side, each (G, D)
//
// One workgroup per tile of 32 tokens and group; lane c keeps row c of the attention matrix in registers
// and takes the tokens one after the other from workgroup memory.

struct Params {
  tokens: u32,
  groups: u32,
}

override D: u32 = 1;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> attention: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const TILE = 32u;
const MAX_QUADS = 16u;
override QUADS: u32 = (D + 3u) / 4u;
var<workgroup> values: array<vec4f, TILE * QUADS>;

// Four values of a token, zero behind the last channel of the group.
fn four_values(start: u32, quad: u32) -> vec4f {
  var four = vec4f(0.0);
  for (var i = 0u; i < 4u; i++) {
    let d = quad * 4u + i;
    if (d < D) {
      four[i] = qkv[start + d];
    }
  }
  return four;
}

fn four_weights(start: u32, quad: u32) -> vec4f {
  var four = vec4f(0.0);
  for (var i = 0u; i < 4u; i++) {
    let d = quad * 4u + i;
    if (d < D) {
      four[i] = attention[start + d];
    }
  }
  return four;
}

@compute @workgroup_size(D)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) c: u32,
) {
  let number = linear_workgroup(group, groups);
  let first = number / params.groups * TILE;
  let g = number % params.groups;
  if (first >= params.tokens) {
    return;
  }
  let tokens = min(TILE, params.tokens - first);

  for (var i = c; i < tokens * QUADS; i += D) {
    values[i] = four_values(((first + i / QUADS) * 3u + 2u) * params.groups * D + g * D, i % QUADS);
  }
  var weights: array<vec4f, MAX_QUADS>;
  for (var quad = 0u; quad < QUADS; quad++) {
    weights[quad] = four_weights((g * D + c) * D, quad);
  }
  workgroupBarrier();

  for (var n = 0u; n < tokens; n++) {
    var sum = vec4f(0.0);
    for (var quad = 0u; quad < QUADS; quad++) {
      sum += weights[quad] * values[n * QUADS + quad];
    }
    out[((first + n) * params.groups + g) * D + c] = sum.x + sum.y + sum.z + sum.w;
  }
}
