// What the variants of channel_scores share. A workgroup looks after as many whole groups as have 64 channels
// together, lane l after its l-th channel in queries and keys.

const LANES = 64u;
// Tokens that are projected at a time.
const ROWS = 16u;
const MAX_QUADS = 8u;
override QUADS: u32 = D / 4u;
override CHANNELS: u32 = LANES / D * D;

// Of the tokens just projected, by token and lane.
var<workgroup> queries: array<f32, ROWS * LANES>;
var<workgroup> keys: array<f32, ROWS * LANES>;
// Of the lane's channel with the channels of its group.
var<private> scores: array<vec4f, MAX_QUADS>;

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

// Takes query and key of token t, which lack their biases.
fn keep(t: u32, channel: u32, lane: u32, query_key: vec2f) {
  queries[t * LANES + lane] = query_key.x + bias[channel];
  keys[t * LANES + lane] = query_key.y + bias[channel_count() + channel];
}

// Adds the products of the first `count` tokens.
fn add_scores(count: u32, lane: u32) {
  workgroupBarrier();
  let first = lane / D * D;
  for (var t = 0u; t < count; t++) {
    let query = queries[t * LANES + lane];
    for (var quad = 0u; quad < QUADS; quad++) {
      // Lanes without a channel stay within the tile.
      let d = min(t * LANES + first + quad * 4u, ROWS * LANES - 4u);
      scores[quad] += query * vec4f(keys[d], keys[d + 1u], keys[d + 2u], keys[d + 3u]);
    }
  }
  workgroupBarrier();
}

fn store_scores(number: u32, lane: u32) {
  let channel = number % workgroups_per_chunk() * CHANNELS + lane;
  if (lane >= CHANNELS || channel >= channel_count()) {
    return;
  }
  let row = number / workgroups_per_chunk() * channel_count() + channel;
  for (var quad = 0u; quad < QUADS; quad++) {
    partials[row * QUADS + quad] = scores[quad];
  }
}
