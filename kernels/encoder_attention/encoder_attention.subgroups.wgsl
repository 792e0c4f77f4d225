// out[i, h] = softmax over j of (q[i, h] · k[j, h] / sqrt(D)) · v[j, h]
//
// One workgroup per head and 16 queries (see sixteen_queries.wgsl).

struct Params {
  tokens: u32,
}

override D: u32 = 4;
override H: u32 = 1;

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

var<private> head: u32;

fn four_channels(token: u32, part: u32, quad: u32) -> vec4f {
  return qkv[((token * 3u + part) * H + head) * (D / 4u) + quad];
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, at: Lane) {
  let number = linear_workgroup(group, groups);
  let tiles = (params.tokens + ROWS - 1u) / ROWS;
  let first_query = number % tiles * ROWS;
  if (number >= tiles * H) {
    return;
  }
  head = number / tiles;
  var sums = attend(first_query, params.tokens, params.tokens, at);
  for (var query = first_query; query < min(first_query + ROWS, params.tokens); query++) {
    out[(query * H + head) * LANES + lane_of(at)] = next_sums(&sums);
  }
}
