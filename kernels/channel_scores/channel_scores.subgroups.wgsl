// partials[chunk, g, c, d] = sum over the tokens t of a chunk of q[t, g, c] * k[t, g, d], where q and k are the first
// two thirds of weight x[t] + bias, each (G, D), and x[t] is the layer norm of normed[t]
//
// One workgroup per chunk and 64 channels; queries and keys are made 16 tokens at a time and never leave it. Every
// lane reads the weights of its channel itself; the tokens pass through workgroup memory in slabs of 16 vectors, of
// which lane s of a subgroup reads tokens s % 8 and 8 + s % 8 and tells them to the others.

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

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
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
  let upper_row = subgroup_lane % 8u * SLAB;
  let lower_row = upper_row + 8u * SLAB;

  for (var first = begin; first < end; first += ROWS) {
    find_statistics(first, params.tokens - 1u, vectors, LANES / ROWS, lane);
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
