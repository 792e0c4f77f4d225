// partials[chunk, g, c, d] = sum over the tokens t of a chunk of q[t, g, c] * k[t, g, d], where q and k are the first
// two thirds of weight x[t] + bias, each (G, D), and x[t] is the layer norm of normed[t]
//
// One workgroup per chunk and 64 channels; queries and keys are made 16 tokens at a time and never leave it. Every
// lane reads the weights of its channel itself; the tokens pass through workgroup memory in slabs of 8 vectors.

struct Params {
  tokens: u32,
  chunk: u32,
  groups: u32,
}

override D: u32 = 4;

@group(0) @binding(0) var<storage, read> normed: array<vec4f>;
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> norm_bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> weight: array<vec4f>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

const SLAB = 8u;
var<workgroup> slab: array<vec4f, ROWS * SLAB>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = linear_workgroup(group, groups);
  let begin = number / workgroups_per_chunk() * params.chunk;
  if (begin >= params.tokens) {
    return;
  }
  let end = min(begin + params.chunk, params.tokens);
  let vectors = channel_count() / 4u;
  let channel = channel_of(number, lane);

  for (var first = begin; first < end; first += ROWS) {
    find_statistics(first, params.tokens - 1u, vectors, LANES / ROWS, lane);
    // Said aloud: not every driver clears a variable again in each turn of a loop.
    var sums = array<vec2f, ROWS>();
    for (var start = 0u; start < vectors; start += SLAB) {
      for (var i = lane; i < ROWS * SLAB; i += LANES) {
        let row = i / SLAB;
        let vector = start + i % SLAB;
        var four = vec4f(0.0);
        if (vector < vectors && first + row < params.tokens) {
          four = normalized(normed[(first + row) * vectors + vector], statistics[row], vector);
        }
        slab[i] = four;
      }
      workgroupBarrier();
      let count = min(SLAB, vectors - start);
      for (var k = 0u; k < count; k++) {
        let query = weight[channel * vectors + start + k];
        let key = weight[(channel_count() + channel) * vectors + start + k];
        for (var t = 0u; t < ROWS; t++) {
          let four = slab[t * SLAB + k];
          sums[t] += vec2f(dot(four, query), dot(four, key));
        }
      }
      workgroupBarrier();
    }
    // Tokens move up as they are kept, for the compiler's sake (see matmul.tile.wgsl).
    for (var t = 0u; t < ROWS; t++) {
      keep(t, channel, lane, sums[0]);
      for (var i = 1u; i < ROWS; i++) {
        sums[i - 1u] = sums[i];
      }
    }
    add_scores(min(end - first, ROWS), lane);
  }
  store_scores(number, lane);
}
