// out[n, h] = sum over the tokens m of n's window of softmax_m(q[n, h] . k[m, h] / sqrt(D)) * v[m, h], where
// a row of qkv is q, k and v side by side, each (heads, D), and positions of a window that lie beyond the
// right or lower edge of the map take part with qkv_bias as their row
//
// One workgroup per window, head and 16 queries (see sixteen_queries.wgsl).

struct Params {
  height: u32,
  width: u32,
  heads: u32,
}

override D: u32 = 4;
override WINDOW: u32 = 1;

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(1) var<storage, read> qkv_bias: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

var<private> corner: vec2u;
var<private> head: u32;

fn four_channels(token: u32, part: u32, quad: u32) -> vec4f {
  return four_of_map(corner + position_in_window(token), part, head, quad);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, at: Lane) {
  let number = linear_workgroup(group, groups);
  let tiles = (TOKENS + ROWS - 1u) / ROWS;
  let first_query = number % tiles * ROWS;
  let begin = corner_of(number / tiles / params.heads);
  if (begin.y >= params.height) {
    return;
  }
  corner = begin;
  head = number / tiles % params.heads;
  var sums = attend(first_query, TOKENS, TOKENS, at);
  for (var query = first_query; query < min(first_query + ROWS, TOKENS); query++) {
    let position = corner + position_in_window(query);
    let four = next_sums(&sums);
    if (is_on_map(position)) {
      out[row_of_out(position, head) + lane_of(at)] = four;
    }
  }
}
