// partials[chunk, g, c, d] = sum over the tokens t of a chunk of q[t, g, c] * k[t, g, d], where q and k are the first
// two thirds of weight x[t] + bias, each (G, D), and x[t] is the layer norm of normed[t]
//
// One workgroup per chunk and as many whole groups as have HALF channels. Queries and keys are made as a tile of a
// matrix product (see matmul.tile.wgsl) for TILE tokens at a time, queries in its left half, keys in its right, and
// never leave the workgroup; lane l then adds the products of two queries' channels with four keys'.
//
// uses grid: linear_workgroup
// uses row_statistics: find_statistics, normalized, statistics
// uses tile.*: LANES, Lane, OwnSums, PITCH, SLAB, TURNS, TURN_ROWS, add_slab, lane_of, row_of_turn, stage, store_turn
// uses weights.*: four_of_weight, stored_weight
// uses constants: TILE

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
@group(0) @binding(5) var<storage, read_write> partials: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

const ROWS = TILE;
const HALF = TILE / 2u;
override CHANNELS: u32 = HALF / D * D;
override QUADS: u32 = D / 4u;
// Queries and keys of a turn's tokens; one more keeps lanes off each other's banks.
const ROW_PITCH = TILE + 1u;
var<workgroup> queries_keys: array<f32, TURN_ROWS * ROW_PITCH>;
var<private> first_channel: u32;

fn channel_count() -> u32 {
  return params.groups * D;
}

// The row of weight that makes a column of the tile; columns without a channel repeat the last.
fn row_of_weight(column: u32) -> u32 {
  let channel = min(first_channel + min(column % HALF, CHANNELS - 1u), channel_count() - 1u);
  return select(channel, channel_count() + channel, column >= HALF);
}

fn store(first_row: u32, token: u32, column: u32, product: f32) {
  let value = product + bias[row_of_weight(column)];
  queries_keys[row_of_turn(token - first_row) * ROW_PITCH + column] = select(0.0, value, token < params.tokens);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, at: Lane) {
  let lane = lane_of(at);
  let per_chunk = (channel_count() + CHANNELS - 1u) / CHANNELS;
  let number = linear_workgroup(group, groups);
  let chunk = number / per_chunk;
  let begin = chunk * params.chunk;
  if (begin >= params.tokens) {
    return;
  }
  first_channel = number % per_chunk * CHANNELS;

  let vectors = channel_count() / 4u;
  let r = lane / SLAB;
  let q = lane % SLAB;
  // Lanes without channels repeat the last.
  let c = min(lane / QUADS * 2u, CHANNELS - 2u);
  let d = c / D * D + lane % QUADS * 4u;
  var scores: array<vec4f, 2>;
  for (var first = begin; first < min(begin + params.chunk, params.tokens); first += TILE) {
    find_statistics(first, params.tokens - 1u, vectors, LANES / ROWS, lane);
    // Explicit zero: some drivers do not re-initialise a variable declared in a loop.
    var sums = OwnSums();
    for (var start = 0u; start < vectors; start += SLAB) {
      for (var part = 0u; part < TILE; part += LANES / SLAB) {
        let row = part + r;
        var from_x = vec4f(0.0);
        var from_weight = vec4f(0.0);
        if (start + q < vectors) {
          let token = min(first + row, params.tokens - 1u);
          from_x = normalized(normed[token * vectors + start + q], statistics[row], start + q);
          from_weight = four_of_weight(row_of_weight(row) * vectors + start + q);
        }
        stage(row * PITCH + q, from_x, from_weight);
      }
      workgroupBarrier();
      add_slab(&sums, lane);
      workgroupBarrier();
    }
    for (var turn = 0u; turn < TURNS; turn++) {
      store_turn(turn, &sums, first, 0u, lane);
      workgroupBarrier();
      for (var row = 0u; row < TURN_ROWS; row++) {
        let query = row * ROW_PITCH + c;
        let key = row * ROW_PITCH + HALF + d;
        let keys = vec4f(
          queries_keys[key],
          queries_keys[key + 1u],
          queries_keys[key + 2u],
          queries_keys[key + 3u],
        );
        scores[0] += queries_keys[query] * keys;
        scores[1] += queries_keys[query + 1u] * keys;
      }
      workgroupBarrier();
    }
  }

  let channel = first_channel + c;
  if (lane / QUADS * 2u < CHANNELS && channel < channel_count()) {
    let row = (chunk * channel_count() + channel) * QUADS + lane % QUADS;
    partials[row] = scores[0];
    partials[row + QUADS] = scores[1];
  }
}
