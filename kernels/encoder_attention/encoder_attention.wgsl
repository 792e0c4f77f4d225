// out[i, h] = softmax over j of (q[i, h] · k[j, h] / sqrt(D)) · v[j, h]
//
// One workgroup of 8 x 8 per head and 32 queries; keys come 32 at a time. Invocation (u, v) scores queries
// 4v..4v+3 against keys u, u + 8, u + 16, u + 24, and sums vectors u, u + 8, ... of the weighted values of the
// same queries. Queries and keys pass through workgroup memory in slabs of 16 channels, four to a vector. The
// softmax of each query is kept up to date on the way: its highest score and its sum, relative to that score.
//
// uses grid: linear_workgroup
// uses masked: MASKED

struct Params {
  tokens: u32,
}

override D: u32 = 4;
override H: u32 = 1;

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
const TILE = 32u;
const SLAB = 4u;
// Four vectors of a row; the fifth keeps lanes off each other's banks.
const PITCH = 5u;
override QUADS: u32 = D / 4u;
override SLABS: u32 = (QUADS + SLAB - 1u) / SLAB;
// Vectors of an invocation; four of each of eight are 128 channels.
const MAX_SHARE = 4u;
override SHARE: u32 = (QUADS + 7u) / 8u;

var<workgroup> queries: array<vec4f, TILE * PITCH>;
var<workgroup> keys: array<vec4f, TILE * PITCH>;
// Of four queries each: by key and v, and by lane.
var<workgroup> weights: array<vec4f, TILE * 8u>;
var<workgroup> found: array<vec4f, LANES>;

// Channels 4 * quad, ... of a token, of the head whose first are at `start`; zero beyond the last.
fn four_channels(token: u32, start: u32, quad: u32) -> vec4f {
  if (token >= params.tokens || quad >= QUADS) {
    return vec4f(0.0);
  }
  return qkv[token * 3u * H * QUADS + start + quad];
}

@compute @workgroup_size(8, 8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tiles = (params.tokens + TILE - 1u) / TILE;
  let number = linear_workgroup(group, groups);
  if (number >= tiles * H) {
    return;
  }
  let first_query = number % tiles * TILE;
  let q_start = number / tiles * QUADS;
  let k_start = q_start + H * QUADS;
  let v_start = k_start + H * QUADS;
  let u = local.x;
  let v = local.y;

  // Of four queries each.
  var sums: array<mat4x4f, MAX_SHARE>;
  var highest = vec4f(MASKED);
  var total = vec4f(0.0);
  for (var first = 0u; first < params.tokens; first += TILE) {
    // Vectors of four queries, one vector per key.
    var scores = array<vec4f, 4>();
    for (var slab = 0u; slab < SLABS; slab++) {
      for (var i = lane; i < TILE * SLAB; i += LANES) {
        let row = i / SLAB;
        let quad = i % SLAB;
        let of_head = slab * SLAB + quad;
        queries[row * PITCH + quad] = inverseSqrt(f32(D)) * four_channels(first_query + row, q_start, of_head);
        keys[row * PITCH + quad] = four_channels(first + row, k_start, of_head);
      }
      workgroupBarrier();
      for (var quad = 0u; quad < SLAB; quad++) {
        let four = transpose(mat4x4f(
          queries[v * 4u * PITCH + quad],
          queries[(v * 4u + 1u) * PITCH + quad],
          queries[(v * 4u + 2u) * PITCH + quad],
          queries[(v * 4u + 3u) * PITCH + quad],
        ));
        for (var j = 0u; j < 4u; j++) {
          let key = keys[(u + j * 8u) * PITCH + quad];
          scores[j] += four[0] * key.x;
          scores[j] += four[1] * key.y;
          scores[j] += four[2] * key.z;
          scores[j] += four[3] * key.w;
        }
      }
      workgroupBarrier();
    }

    for (var j = 0u; j < 4u; j++) {
      if (first + u + j * 8u >= params.tokens) {
        scores[j] = vec4f(MASKED);
      }
    }
    found[lane] = max(max(scores[0], scores[1]), max(scores[2], scores[3]));
    workgroupBarrier();
    let before = highest;
    for (var i = 0u; i < 8u; i++) {
      highest = max(highest, found[v * 8u + i]);
    }
    let correction = exp(before - highest);
    total *= correction;
    for (var j = 0u; j < 4u; j++) {
      let weight = exp(scores[j] - highest);
      total += weight;
      weights[(u + j * 8u) * 8u + v] = weight;
    }
    workgroupBarrier();

    for (var s = 0u; s < SHARE; s++) {
      for (var i = 0u; i < 4u; i++) {
        sums[s][i] *= correction[i];
      }
    }
    let count = min(TILE, params.tokens - first);
    for (var key = 0u; key < count; key++) {
      let weight = weights[key * 8u + v];
      let start = (first + key) * 3u * H * QUADS + v_start;
      for (var s = 0u; s < SHARE; s++) {
        // Lanes beyond the last vector repeat it.
        let value = qkv[start + min(u + s * 8u, QUADS - 1u)];
        for (var i = 0u; i < 4u; i++) {
          sums[s][i] += weight[i] * value;
        }
      }
    }
  }

  found[lane] = total;
  workgroupBarrier();
  var all = vec4f(0.0);
  for (var i = 0u; i < 8u; i++) {
    all += found[v * 8u + i];
  }
  for (var s = 0u; s < SHARE; s++) {
    let quad = u + s * 8u;
    for (var i = 0u; i < 4u; i++) {
      let query = first_query + v * 4u + i;
      if (quad < QUADS && query < params.tokens) {
        out[query * H * QUADS + q_start + quad] = sums[s][i] / all[i];
      }
    }
  }
}
