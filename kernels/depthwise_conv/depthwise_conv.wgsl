// out[h, w, c] = x[h, w, c] + bias[c] + sum over i, j in 0..2 of weight[c, i, j] * x[h + i - 1, w + j - 1, c],
// where x is 0 outside of the map
//
// One invocation per channel of a strip of 8 neighbouring pixels of a row, channels fastest; it slides
// three columns of three pixels along the strip.
//
// uses grid: linear_workgroup

struct Params {
  height: u32,
  width: u32,
}

override C: u32 = 1;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
const STRIP = 8u;

// The pixels above, at and below row h in one column of the map.
fn column_of(h: u32, w: u32, c: u32) -> vec3f {
  if (w >= params.width) {
    return vec3f(0.0);
  }
  let row = params.width * C;
  let here = h * row + w * C + c;
  var column = vec3f(0.0, x[here], 0.0);
  if (h > 0u) {
    column.x = x[here - row];
  }
  if (h + 1u < params.height) {
    column.z = x[here + row];
  }
  return column;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_workgroup(group, groups) * LANES + lane;
  let strips_per_row = (params.width + STRIP - 1u) / STRIP;
  let strip = i / C;
  let c = i % C;
  let h = strip / strips_per_row;
  let first = strip % strips_per_row * STRIP;
  if (h >= params.height) {
    return;
  }

  let tap = c * 9u;
  let left_weight = vec3f(weight[tap], weight[tap + 3u], weight[tap + 6u]);
  let middle_weight = vec3f(weight[tap + 1u], weight[tap + 4u], weight[tap + 7u]);
  let right_weight = vec3f(weight[tap + 2u], weight[tap + 5u], weight[tap + 8u]);
  let shift = bias[c];

  var left = vec3f(0.0);
  if (first > 0u) {
    left = column_of(h, first - 1u, c);
  }
  var middle = column_of(h, first, c);
  for (var s = 0u; s < STRIP; s++) {
    let w = first + s;
    if (w >= params.width) {
      break;
    }
    let right = column_of(h, w + 1u, c);
    out[(h * params.width + w) * C + c] = middle.y + shift
      + dot(left_weight, left) + dot(middle_weight, middle) + dot(right_weight, right);
    left = middle;
    middle = right;
  }
}
