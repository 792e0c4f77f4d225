// partials[chunk, g, c, d] = sum over the tokens t of a chunk of q[t, g, c] * k[t, g, d], where q and k are the first
// two thirds of weight x[t] + bias, each (G, D), and x[t] is the layer norm of normed[t]
//
// One workgroup of 32 invocations per chunk and two groups of 32 channels: lane l has the l-th channel of both. Queries
// and keys are made 16 tokens at a time (see sixteen_rows.wgsl) and pass through workgroup memory, from where lane s of
// a subgroup reads the keys of channels s % 8, 8 + s % 8, ... of both groups, and tells them to the others.

struct Params {
  tokens: u32,
  chunk: u32,
  groups: u32,
}

override D: u32 = 32;

@group(0) @binding(0) var<storage, read> normed: array<vec4f>;
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> norm_bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> weight: array<stored_weight>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 32u;
const QUADS = ROWS / 4u;

// Of the tokens just projected, four to a vector, by channels of both groups.
var<workgroup> queries: array<vec4f, QUADS * 2u * LANES>;
var<workgroup> keys: array<vec4f, QUADS * 2u * LANES>;
// Of the lane's channel in the first group with channels d and 16 + d, and in the second.
var<private> scores: array<vec4f, 16>;

// Hands on what was projected; tokens that are not there are asked nothing.
fn hand_on(sums: ptr<function, Sums>, channels: vec2u, tokens_left: u32, lane: u32) {
  let query_bias = vec2f(bias[channels.x], bias[channels.y]);
  let key_bias = vec2f(bias[params.groups * D + channels.x], bias[params.groups * D + channels.y]);
  for (var quad = 0u; quad < QUADS; quad++) {
    let four = transpose(mat4x4f(next_sums(sums), next_sums(sums), next_sums(sums), next_sums(sums)));
    let there = vec4f(vec4u(0u, 1u, 2u, 3u) + quad * 4u < vec4u(tokens_left));
    let i = quad * 2u * LANES + lane;
    queries[i] = (four[0] + query_bias.x) * there;
    queries[i + LANES] = (four[1] + query_bias.y) * there;
    keys[i] = four[2] + key_bias.x;
    keys[i + LANES] = four[3] + key_bias.y;
  }
  workgroupBarrier();
}

// Adds the products of these tokens.
fn add_scores(lane: u32, at: Lane) {
  for (var quad = 0u; quad < QUADS; quad++) {
    let i = quad * 2u * LANES + lane;
    let own = array<vec4f, 2>(queries[i], queries[i + LANES]);
    for (var octet = 0u; octet < 2u; octet++) {
      let j = quad * 2u * LANES + octet * 8u + at.place % 8u;
      let told = array<vec4f, 4>(keys[j], keys[j + 16u], keys[j + LANES], keys[j + LANES + 16u]);
      for (var d = 0u; d < 8u; d++) {
        scores[octet * 8u + d] += vec4f(
          dot(own[0], subgroupShuffle(told[0], d)),
          dot(own[0], subgroupShuffle(told[1], d)),
          dot(own[1], subgroupShuffle(told[2], d)),
          dot(own[1], subgroupShuffle(told[3], d)),
        );
      }
    }
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, at: Lane) {
  let lane = lane_of(at);
  let number = linear_workgroup(group, groups);
  let pairs = (params.groups + 1u) / 2u;
  let chunk = number / pairs;
  let begin = chunk * params.chunk;
  if (begin >= params.tokens) {
    return;
  }
  let end = min(begin + params.chunk, params.tokens);
  let channel_count = params.groups * D;
  let vectors = channel_count / 4u;
  let first_group = number % pairs * 2u;
  let own = first_group * D + lane;
  // Without a second group, the first is there twice.
  let other = min(first_group + 1u, params.groups - 1u) * D + lane;
  let channels = vec2u(own, other);
  // Of the weights of queries and keys.
  let starts = vec4u(channels, channel_count + channels) * vectors;

  for (var first = begin; first < end; first += ROWS) {
    find_statistics(first, params.tokens - 1u, vectors, LANES / ROWS, at);
    let upper_row = min(first + at.place % 8u, params.tokens - 1u) * vectors;
    let lower_row = min(first + 8u + at.place % 8u, params.tokens - 1u) * vectors;
    let upper_statistics = statistics[at.place % 8u];
    let lower_statistics = statistics[8u + at.place % 8u];
    // Said aloud: not every driver clears a variable again in each turn of a loop.
    var sums = Sums();
    for (var k = 0u; k < vectors; k++) {
      read_norm(k, vectors, at);
      let upper = normalized_together(normed[upper_row + k], upper_statistics, k);
      let lower = normalized_together(normed[lower_row + k], lower_statistics, k);
      add_products(&sums, upper, lower, weights_of_columns(starts, k), true);
    }
    hand_on(&sums, channels, end - first, lane);
    add_scores(lane, at);
  }
  let row = (chunk * channel_count + own) * D;
  let other_row = (chunk * channel_count + other) * D;
  for (var d = 0u; d < 16u; d++) {
    let four = scores[d];
    partials[row + d] = four[0];
    partials[row + 16u + d] = four[1];
    partials[other_row + d] = four[2];
    partials[other_row + 16u + d] = four[3];
  }
}
