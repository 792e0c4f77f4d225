// out[i, h] = softmax over j of (q[i, h] · k[j, h] / sqrt(D)) · v[j, h]
//
// One workgroup of 8 x 8 per head and 32 queries; keys come 32 at a time. Invocation (u, v) scores queries
// 4v..4v+3 against keys u, u + 8, u + 16, u + 24, and sums columns u, u + 8, ... of the weighted values of the
// same queries. Queries and keys pass through workgroup memory in slabs of 16 channels, four to a vector. The
// softmax of each query is kept up to date on the way: its highest score and its sum, relative to that score.

struct Params {
  tokens: u32,
}

override D: u32 = 1;
override H: u32 = 1;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
const TILE = 32u;
const SLAB = 4u;
// Four vectors of a row; the fifth keeps lanes off each other's banks.
const PITCH = 5u;
override SLABS: u32 = (D + 15u) / 16u;
// Of an invocation; 16 of them are 128 channels.
const MAX_COLUMNS = 16u;
override COLUMNS: u32 = (D + 7u) / 8u;
// Stands for a score of no key; finite, so that differences stay numbers.
const NOTHING = -1e30;

var<workgroup> queries: array<vec4f, TILE * PITCH>;
var<workgroup> keys: array<vec4f, TILE * PITCH>;
// Of four queries each: by key and v, and by lane.
var<workgroup> weights: array<vec4f, TILE * 8u>;
var<workgroup> found: array<vec4f, LANES>;

// Four channels of a token, from `channel` of the head whose first is at `start`; zero beyond the last.
fn four_channels(token: u32, start: u32, channel: u32) -> vec4f {
  var four = vec4f(0.0);
  if (token < params.tokens) {
    for (var i = 0u; i < 4u; i++) {
      if (channel + i < D) {
        four[i] = qkv[token * 3u * H * D + start + channel + i];
      }
    }
  }
  return four;
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
  let q_start = number / tiles * D;
  let k_start = q_start + H * D;
  let v_start = k_start + H * D;
  let u = local.x;
  let v = local.y;

  var sums: array<vec4f, MAX_COLUMNS>;
  var highest = vec4f(NOTHING);
  var total = vec4f(0.0);
  for (var first = 0u; first < params.tokens; first += TILE) {
    // Vectors of four queries, one vector per key.
    var scores = array<vec4f, 4>();
    for (var slab = 0u; slab < SLABS; slab++) {
      for (var i = lane; i < TILE * SLAB; i += LANES) {
        let row = i / SLAB;
        let quad = i % SLAB;
        let channel = (slab * SLAB + quad) * 4u;
        queries[row * PITCH + quad] = inverseSqrt(f32(D)) * four_channels(first_query + row, q_start, channel);
        keys[row * PITCH + quad] = four_channels(first + row, k_start, channel);
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
        scores[j] = vec4f(NOTHING);
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

    for (var c = 0u; c < COLUMNS; c++) {
      sums[c] *= correction;
    }
    let count = min(TILE, params.tokens - first);
    for (var key = 0u; key < count; key++) {
      let weight = weights[key * 8u + v];
      let start = (first + key) * 3u * H * D + v_start;
      for (var c = 0u; c < COLUMNS; c++) {
        // Lanes beyond the last channel repeat it.
        sums[c] += weight * qkv[start + min(u + c * 8u, D - 1u)];
      }
    }
  }

  found[lane] = total;
  workgroupBarrier();
  var all = vec4f(0.0);
  for (var i = 0u; i < 8u; i++) {
    all += found[v * 8u + i];
  }
  for (var c = 0u; c < COLUMNS; c++) {
    let column = u + c * 8u;
    for (var i = 0u; i < 4u; i++) {
      let query = first_query + v * 4u + i;
      if (column < D && query < params.tokens) {
        out[query * H * D + q_start + column] = sums[c][i] / all[i];
      }
    }
  }
}
