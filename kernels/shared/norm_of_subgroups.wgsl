// Norms by subgroups of at least 8, beside row_statistics.wgsl: what a norm multiplies with and adds, of eight vectors.
// Since every lane needs the same one, each reads another, and tells it to the others.

var<private> own_norm_weight: vec4f;
var<private> own_norm_bias: vec4f;

// Has to be called for each vector, one after the other.
fn read_norm(vector: u32, vectors: u32, at: Lane) {
  if (vector % 8u == 0u) {
    let own = min(vector + at.place % 8u, vectors - 1u);
    own_norm_weight = norm_weight[own];
    own_norm_bias = norm_bias[own];
  }
}

// The same as normalized(), by what was read.
fn normalized_together(four: vec4f, of_row: vec2f, vector: u32) -> vec4f {
  let scale = subgroupShuffle(own_norm_weight, vector % 8u);
  let shift = subgroupShuffle(own_norm_bias, vector % 8u);
  return standardized(four, of_row) * scale + shift;
}
