// out[r, h] = softmax over s of (q[r, h] · k[p, s, h] / sqrt(D)) · v[p, s, h], p the picture of row r, where
// q[r] = query_weight x[r] + query_bias and x[r] is the layer norm of normed[r]
//
// One workgroup per picture, head and 16 of the picture's rows (see sixteen_queries.wgsl) makes their queries, lane l
// channels 4l..4l+3, and reads keys and values once for all of them.

struct Params {
  rows: u32,
  rowsPerPicture: u32,
  source: u32,
}

override D: u32 = 4;
override H: u32 = 1;

@group(0) @binding(0) var<storage, read> normed: array<vec4f>;
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> norm_bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> query_weight: array<stored_query_weight>;
@group(0) @binding(4) var<storage, read> query_bias: array<f32>;
@group(0) @binding(5) var<storage, read> keysValues: array<vec4f>;
@group(0) @binding(6) var<storage, read> lengths: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

// Of a row of x.
override VECTORS: u32 = D * H / 4u;
// By row and quad.
var<workgroup> queries: array<vec4f, ROWS * LANES>;
var<private> keys: u32;

fn four_channels(token: u32, part: u32, quad: u32) -> vec4f {
  if (part == 0u) {
    return queries[token * LANES + quad];
  }
  return keysValues[keys + (token * 2u + part - 1u) * VECTORS + quad];
}

fn make_queries(first_row: u32, count: u32, head: u32, at: Lane) {
  let lane = lane_of(at);
  find_statistics(first_row, first_row + count - 1u, VECTORS, LANES / ROWS, at);
  let upper = min(at.place % 8u, count - 1u);
  let lower = min(8u + at.place % 8u, count - 1u);
  let upper_row = (first_row + upper) * VECTORS;
  let lower_row = (first_row + lower) * VECTORS;
  let channel = head * D + lane * 4u;
  let start = channel * VECTORS;
  var sums: Sums;
  for (var k = 0u; k < VECTORS; k++) {
    read_norm(k, VECTORS, at);
    let upper_four = normalized_together(normed[upper_row + k], statistics[upper], k);
    let lower_four = normalized_together(normed[lower_row + k], statistics[lower], k);
    let weights = transpose(mat4x4f(
      four_of_query_weight(start + k),
      four_of_query_weight(start + VECTORS + k),
      four_of_query_weight(start + 2u * VECTORS + k),
      four_of_query_weight(start + 3u * VECTORS + k),
    ));
    add_products(&sums, upper_four, lower_four, weights, count > FEW);
  }
  let bias = vec4f(
    query_bias[channel],
    query_bias[channel + 1u],
    query_bias[channel + 2u],
    query_bias[channel + 3u],
  );
  for (var row = 0u; row < count; row++) {
    queries[row * LANES + lane] = next_sums(&sums) + bias;
  }
  workgroupBarrier();
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, at: Lane) {
  let tiles = (params.rowsPerPicture + ROWS - 1u) / ROWS;
  let number = linear_workgroup(group, groups);
  let head = number / tiles % H;
  let picture = number / tiles / H;
  let first = number % tiles * ROWS;
  let first_row = picture * params.rowsPerPicture + first;
  if (first_row >= params.rows) {
    return;
  }
  let count = min(ROWS, params.rowsPerPicture - first);
  make_queries(first_row, count, head, at);

  keys = picture * params.source * 2u * VECTORS + head * LANES;
  var sums = attend(0u, count, lengths[picture], at);
  for (var row = first_row; row < first_row + count; row++) {
    out[(row * H + head) * LANES + lane_of(at)] = next_sums(&sums);
  }
}
