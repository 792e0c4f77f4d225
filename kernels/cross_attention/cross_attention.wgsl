// out[r, h] = softmax over s of (q[r, h] · k[p, s, h] / sqrt(D)) · v[p, s, h], p the image of row r, where
// q[r] = query_weight x[r] + query_bias and x[r] is the layer norm of normed[r]
//
// One workgroup per row and head makes its part of the query, four lanes to each channel, and then takes the
// source tokens 256 at a time (see query_attention.wgsl).
//
// uses grid: linear_workgroup
// uses query_attention: attend, attended
// uses reduce: reduce_sum_of
// uses row_statistics: find_statistics, normalized, statistics
// uses weights.*: four_of_query_weight, stored_query_weight

struct Params {
  rows: u32,
  rows_per_image: u32,
  source: u32,
}

override D: u32 = 4;
override H: u32 = 1;

@group(0) @binding(0) var<storage, read> normed: array<vec4f>;
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> norm_bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> query_weight: array<stored_query_weight>;
@group(0) @binding(4) var<storage, read> query_bias: array<f32>;
@group(0) @binding(5) var<storage, read> keys_values: array<vec4f>;
@group(0) @binding(6) var<storage, read> lengths: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 256u;
// Of the layer norm.
const ROWS = 1u;
override QUADS: u32 = D / 4u;
// Of a row of x.
override VECTORS: u32 = D * H / 4u;
var<workgroup> x: array<vec4f, VECTORS>;
var<workgroup> query: array<f32, D>;
var<private> values: u32;

fn value(token: u32, quad: u32) -> vec4f {
  return keys_values[values + token * 2u * VECTORS + quad];
}

fn make_query(row: u32, head: u32, lane: u32) {
  find_statistics(row, row, VECTORS, LANES, lane);
  for (var v = lane; v < VECTORS; v += LANES) {
    x[v] = normalized(normed[row * VECTORS + v], statistics[0], v);
  }
  workgroupBarrier();
  for (var first = 0u; first < D; first += LANES / 4u) {
    let channel = first + lane / 4u;
    let column = head * D + min(channel, D - 1u);
    var product = 0.0;
    for (var v = lane % 4u; v < VECTORS; v += 4u) {
      product += dot(x[v], four_of_query_weight(column * VECTORS + v));
    }
    let all = reduce_sum_of(product, 4u, lane);
    if (channel < D && lane % 4u == 0u) {
      query[channel] = (all + query_bias[column]) * inverseSqrt(f32(D));
    }
  }
  workgroupBarrier();
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = linear_workgroup(group, groups);
  if (index >= params.rows * H) {
    return;
  }
  let row = index / H;
  let head = index % H;
  make_query(row, head, lane);

  let image = row / params.rows_per_image;
  let length = lengths[image];
  let keys = image * params.source * 2u * VECTORS + head * QUADS;
  values = keys + VECTORS;
  for (var first = 0u; first < length; first += LANES) {
    let key = keys + (first + lane) * 2u * VECTORS;
    var score = 0.0;
    if (first + lane < length) {
      for (var quad = 0u; quad < QUADS; quad++) {
        let c = quad * 4u;
        score += dot(vec4f(query[c], query[c + 1u], query[c + 2u], query[c + 3u]), keys_values[key + quad]);
      }
    }
    attend(first, min(LANES, length - first), score, lane);
  }
  let mean = attended(lane);
  if (lane < QUADS) {
    out[index * QUADS + lane] = mean;
  }
}
