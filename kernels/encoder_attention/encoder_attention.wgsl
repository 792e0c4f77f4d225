// out[i, h] = softmax over j of (q[i, h] · k[j, h] / sqrt(D)) · v[j, h]
//
// One workgroup per head and QUERIES queries. Keys come LANES at a time: lane j scores one key against all
// queries, then lane c sums column c (and c + LANES) of the weighted values. The softmax of each query is
// kept up to date on the way, so that the scores of all keys are never in memory.

struct Params {
  tokens: u32,
}

override D: u32 = 1;
override H: u32 = 1;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
const QUERIES = 8u;
const MAX_WIDTH = 128u;
const COLUMNS = 2u; // per lane: MAX_WIDTH / LANES
// Stands for a score of no key; finite, so that differences stay numbers.
const NOTHING = -1e30;

var<workgroup> queries: array<f32, QUERIES * MAX_WIDTH>;
var<workgroup> weights: array<f32, QUERIES * LANES>;
var<workgroup> largest: array<f32, QUERIES>;
var<workgroup> totals: array<f32, QUERIES>;
var<workgroup> rescales: array<f32, QUERIES>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tiles = (params.tokens + QUERIES - 1u) / QUERIES;
  let index = linear_workgroup(group, groups);
  if (index >= tiles * H) {
    return;
  }
  let first_query = index % tiles * QUERIES;
  let stride = 3u * H * D;
  let q = index / tiles * D;
  let k = q + H * D;
  let v = k + H * D;

  for (var i = lane; i < QUERIES * D; i += LANES) {
    let token = first_query + i / D;
    queries[i] = 0.0;
    if (token < params.tokens) {
      queries[i] = qkv[token * stride + q + i % D] * inverseSqrt(f32(D));
    }
  }
  if (lane < QUERIES) {
    largest[lane] = NOTHING;
    totals[lane] = 0.0;
  }
  var sums: array<f32, QUERIES * COLUMNS>;
  workgroupBarrier();

  for (var first = 0u; first < params.tokens; first += LANES) {
    let token = first + lane;
    var scores = array<f32, QUERIES>();
    if (token < params.tokens) {
      for (var c = 0u; c < D; c++) {
        let key = qkv[token * stride + k + c];
        for (var i = 0u; i < QUERIES; i++) {
          scores[i] += queries[i * D + c] * key;
        }
      }
    }
    for (var i = 0u; i < QUERIES; i++) {
      weights[i * LANES + lane] = select(NOTHING, scores[i], token < params.tokens);
    }
    workgroupBarrier();

    if (lane < QUERIES) {
      let own = lane * LANES;
      let before = largest[lane];
      var now = before;
      for (var j = 0u; j < LANES; j++) {
        now = max(now, weights[own + j]);
      }
      var sum = 0.0;
      for (var j = 0u; j < LANES; j++) {
        let weight = exp(weights[own + j] - now);
        weights[own + j] = weight;
        sum += weight;
      }
      let rescale = exp(before - now);
      largest[lane] = now;
      totals[lane] = totals[lane] * rescale + sum;
      rescales[lane] = rescale;
    }
    workgroupBarrier();

    let count = min(LANES, params.tokens - first);
    for (var j = 0u; j < COLUMNS; j++) {
      let c = lane + j * LANES;
      if (c < D) {
        for (var i = 0u; i < QUERIES; i++) {
          sums[i * COLUMNS + j] *= rescales[i];
        }
        for (var t = 0u; t < count; t++) {
          let value = qkv[(first + t) * stride + v + c];
          for (var i = 0u; i < QUERIES; i++) {
            sums[i * COLUMNS + j] += weights[i * LANES + t] * value;
          }
        }
      }
    }
    workgroupBarrier();
  }

  for (var j = 0u; j < COLUMNS; j++) {
    let c = lane + j * LANES;
    for (var i = 0u; i < QUERIES; i++) {
      if (c < D && first_query + i < params.tokens) {
        out[(first_query + i) * H * D + q + c] = sums[i * COLUMNS + j] / totals[i];
      }
    }
  }
}
