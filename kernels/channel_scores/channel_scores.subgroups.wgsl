// partials[chunk, g, c, d] = sum over the tokens t of a chunk of q[t, g, c] * k[t, g, d], where q and k are the first
// two thirds of weight x[t] + bias, each (G, D), and x[t] is the layer norm of normed[t]
//
// One workgroup per chunk and as many whole groups as have 64 channels, lane l for the l-th of them. Queries and keys
// are made 16 tokens at a time and never leave it: every lane reads the weights of its channel itself; the tokens pass
// through workgroup memory in slabs of 16 vectors, of which lane s of a subgroup reads tokens s % 8 and 8 + s % 8 and
// tells them to the others.

struct Params {
  tokens: u32,
  chunk: u32,
  groups: u32,
}

override D: u32 = 4;

@group(0) @binding(0) var<storage, read> normed: array<vec4f>;
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> norm_bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> weight: array<stored_weight>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
// Tokens that are projected at a time, and vectors of theirs.
const ROWS = 16u;
const SLAB = 16u;
const MAX_WIDTH = 32u;
override CHANNELS: u32 = LANES / D * D;

var<workgroup> slab: array<vec4f, ROWS * SLAB>;
// Of the tokens just projected, four to a vector: by vector and lane.
var<workgroup> keys: array<vec4f, ROWS / 4u * LANES>;
// Of the lane's channel with the channels of its group.
var<private> scores: array<f32, MAX_WIDTH>;

fn channel_count() -> u32 {
  return params.groups * D;
}

fn workgroups_per_chunk() -> u32 {
  return (channel_count() + CHANNELS - 1u) / CHANNELS;
}

// The lane's channel; lanes without one repeat the last.
fn channel_of(number: u32, lane: u32) -> u32 {
  return min(number % workgroups_per_chunk() * CHANNELS + min(lane, CHANNELS - 1u), channel_count() - 1u);
}

// Brings vectors start, ... of the tokens from `first` on into the slab.
fn stage(first: u32, start: u32, lane: u32) {
  let vectors = channel_count() / 4u;
  for (var i = lane; i < ROWS * SLAB; i += LANES) {
    let row = i / SLAB;
    let vector = min(start + i % SLAB, vectors - 1u);
    let four = normed[min(first + row, params.tokens - 1u) * vectors + vector];
    slab[i] = normalized(four, statistics[row], vector);
  }
  workgroupBarrier();
}

// Adds the products of four tokens. `quarter` says which of the tokens just projected they are, `count` how many
// of them there are at all; queries and keys of the lane's channel still lack their biases.
fn add_scores(quarter: u32, count: u32, channel: u32, query: vec4f, key: vec4f, lane: u32) {
  let there = vec4u(0u, 1u, 2u, 3u) + quarter * 4u < vec4u(count);
  let queries = select(vec4f(0.0), query + bias[channel], there);
  keys[quarter * LANES + lane] = key + bias[channel_count() + channel];
  workgroupBarrier();
  let first = quarter * LANES + lane / D * D;
  for (var d = 0u; d < D; d++) {
    // Lanes without a channel stay within the tile.
    scores[d] += dot(queries, keys[min(first + d, ROWS / 4u * LANES - 1u)]);
  }
}

fn store_scores(number: u32, lane: u32) {
  let channel = number % workgroups_per_chunk() * CHANNELS + lane;
  if (lane >= CHANNELS || channel >= channel_count()) {
    return;
  }
  let row = number / workgroups_per_chunk() * channel_count() + channel;
  for (var d = 0u; d < D; d++) {
    partials[row * D + d] = scores[d];
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, at: Lane) {
  let lane = lane_of(at);
  let number = linear_workgroup(group, groups);
  let begin = number / workgroups_per_chunk() * params.chunk;
  if (begin >= params.tokens) {
    return;
  }
  let end = min(begin + params.chunk, params.tokens);
  let vectors = channel_count() / 4u;
  let channel = channel_of(number, lane);
  let query_row = channel * vectors;
  let key_row = (channel_count() + channel) * vectors;
  let upper_row = at.place % 8u * SLAB;
  let lower_row = upper_row + 8u * SLAB;

  for (var first = begin; first < end; first += ROWS) {
    find_statistics(first, params.tokens - 1u, vectors, LANES / ROWS, at);
    // Said aloud: not every driver clears a variable again in each turn of a loop.
    var sums = array<vec2f, ROWS>();
    for (var start = 0u; start < vectors; start += SLAB) {
      stage(first, start, lane);
      let count = min(SLAB, vectors - start);
      for (var k = 0u; k < count; k++) {
        let up = slab[upper_row + k];
        let low = slab[lower_row + k];
        let query = four_of_weight(query_row + start + k);
        let key = four_of_weight(key_row + start + k);
        for (var j = 0u; j < 4u; j++) {
          let weights = vec2f(query[j], key[j]);
          sums[0] += subgroupBroadcast(up[j], 0u) * weights;
          sums[1] += subgroupBroadcast(up[j], 1u) * weights;
          sums[2] += subgroupBroadcast(up[j], 2u) * weights;
          sums[3] += subgroupBroadcast(up[j], 3u) * weights;
          sums[4] += subgroupBroadcast(up[j], 4u) * weights;
          sums[5] += subgroupBroadcast(up[j], 5u) * weights;
          sums[6] += subgroupBroadcast(up[j], 6u) * weights;
          sums[7] += subgroupBroadcast(up[j], 7u) * weights;
          sums[8] += subgroupBroadcast(low[j], 0u) * weights;
          sums[9] += subgroupBroadcast(low[j], 1u) * weights;
          sums[10] += subgroupBroadcast(low[j], 2u) * weights;
          sums[11] += subgroupBroadcast(low[j], 3u) * weights;
          sums[12] += subgroupBroadcast(low[j], 4u) * weights;
          sums[13] += subgroupBroadcast(low[j], 5u) * weights;
          sums[14] += subgroupBroadcast(low[j], 6u) * weights;
          sums[15] += subgroupBroadcast(low[j], 7u) * weights;
        }
      }
      workgroupBarrier();
    }
    // Tokens move up as they are used, for the compiler's sake (see tile.lanes.wgsl).
    let count = min(end - first, ROWS);
    for (var quarter = 0u; quarter * 4u < count; quarter++) {
      let query = vec4f(sums[0].x, sums[1].x, sums[2].x, sums[3].x);
      let key = vec4f(sums[0].y, sums[1].y, sums[2].y, sums[3].y);
      add_scores(quarter, count, channel, query, key, lane);
      for (var i = 4u; i < ROWS; i++) {
        sums[i - 4u] = sums[i];
      }
    }
  }
  store_scores(number, lane);
}
