// partials[first_chunk + chunk, g, c, d] = sum over the tokens n of a chunk of q[n, g, c] * k[n, g, d],
// where a row of qkv is q, k and v side by side, each (G, D)
//
// One workgroup per chunk of 128 tokens and group; invocation (x, y) sums the 4 x 4 products of
// channels c = 4y..4y+3 and d = 4x..4x+3, from tiles of 32 tokens in workgroup memory.

struct Params {
  tokens: u32,
  first_chunk: u32,
  groups: u32,
}

override D: u32 = 1;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const CHUNK = 128u;
const TILE = 32u;
override QUADS: u32 = (D + 3u) / 4u;
override LANES: u32 = QUADS * QUADS;
var<workgroup> q_tile: array<vec4f, TILE * QUADS>;
var<workgroup> k_tile: array<vec4f, TILE * QUADS>;

// Four channels of a token, zero behind the last one of the group.
fn four_channels(start: u32, quad: u32) -> vec4f {
  var four = vec4f(0.0);
  for (var i = 0u; i < 4u; i++) {
    let c = quad * 4u + i;
    if (c < D) {
      four[i] = qkv[start + c];
    }
  }
  return four;
}

fn store_four(row: u32, c: u32, quad: u32, four: vec4f) {
  for (var i = 0u; i < 4u; i++) {
    let d = quad * 4u + i;
    if (c < D && d < D) {
      partials[(row * D + c) * D + d] = four[i];
    }
  }
}

@compute @workgroup_size(QUADS, QUADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = linear_workgroup(group, groups);
  let chunk = number / params.groups;
  let g = number % params.groups;
  if (chunk * CHUNK >= params.tokens) {
    return;
  }

  var sum0 = vec4f(0.0);
  var sum1 = vec4f(0.0);
  var sum2 = vec4f(0.0);
  var sum3 = vec4f(0.0);
  for (var tile = 0u; tile < CHUNK; tile += TILE) {
    for (var i = lane; i < TILE * QUADS; i += LANES) {
      let n = chunk * CHUNK + tile + i / QUADS;
      var q = vec4f(0.0);
      var k = vec4f(0.0);
      if (n < params.tokens) {
        let start = (n * 3u * params.groups + g) * D;
        q = four_channels(start, i % QUADS);
        k = four_channels(start + params.groups * D, i % QUADS);
      }
      q_tile[i] = q;
      k_tile[i] = k;
    }
    workgroupBarrier();
    for (var n = 0u; n < TILE; n++) {
      let q = q_tile[n * QUADS + local.y];
      let k = k_tile[n * QUADS + local.x];
      sum0 += q.x * k;
      sum1 += q.y * k;
      sum2 += q.z * k;
      sum3 += q.w * k;
    }
    workgroupBarrier();
  }

  let row = (params.first_chunk + chunk) * params.groups + g;
  store_four(row, local.y * 4u, local.x, sum0);
  store_four(row, local.y * 4u + 1u, local.x, sum1);
  store_four(row, local.y * 4u + 2u, local.x, sum2);
  store_four(row, local.y * 4u + 3u, local.x, sum3);
}
