// What the variants of channel_scores share. A workgroup looks after as many whole groups as have 64 channels
// together, lane l after its l-th channel in queries and keys.

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

// Columns 4 * vector, ... of a row with these statistics.
fn normalized(four: vec4f, of_row: vec2f, vector: u32) -> vec4f {
  return (four - of_row.x) * of_row.y * norm_weight[vector] + norm_bias[vector];
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
