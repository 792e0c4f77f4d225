// out[n, h] = sum over the tokens m of n's window of softmax_m(q[n, h] . k[m, h] / sqrt(D)) * v[m, h], where
// a row of qkv is q, k and v side by side, each (heads, D), and positions of a window that lie beyond the
// right or lower edge of the map take part with qkv_bias as their row
//
// One workgroup per window and head, one invocation per query. Keys and values pass through workgroup
// memory in tiles of 4 x 4 matrices, four channels of four tokens, one column per token. An invocation
// keeps the highest score so far and, relative to it, the sum of the weights and of the weighted values.
//
// uses grid: linear_workgroup
// uses masked: MASKED
// uses window_attention.map: QUADS, TOKENS, corner_of, four_of_map, is_on_map, position_in_window, row_of_out

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

override BLOCKS: u32 = (TOKENS + 3u) / 4u;
const MAX_QUADS = 16u;
// At most 6 KiB each.
override TILE: u32 = 96u / QUADS;
var<workgroup> keys: array<mat4x4f, TILE * QUADS>;
var<workgroup> values: array<mat4x4f, TILE * QUADS>;

@compute @workgroup_size(TOKENS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = linear_workgroup(group, groups);
  let head = number % params.heads;
  let corner = corner_of(number / params.heads);
  if (corner.y >= params.height) {
    return;
  }
  let position = corner + position_in_window(lane);

  var query: array<vec4f, MAX_QUADS>;
  var sum: array<vec4f, MAX_QUADS>;
  for (var quad = 0u; quad < QUADS; quad++) {
    query[quad] = inverseSqrt(f32(D)) * four_of_map(position, 0u, head, quad);
  }
  var highest = MASKED;
  var total = 0.0;

  for (var tile = 0u; tile < BLOCKS; tile += TILE) {
    let blocks = min(TILE, BLOCKS - tile);
    for (var i = lane; i < blocks * QUADS; i += TOKENS) {
      var key: mat4x4f;
      var value: mat4x4f;
      for (var j = 0u; j < 4u; j++) {
        let source = corner + position_in_window((tile + i / QUADS) * 4u + j);
        key[j] = four_of_map(source, 1u, head, i % QUADS);
        value[j] = four_of_map(source, 2u, head, i % QUADS);
      }
      keys[i] = key;
      values[i] = value;
    }
    workgroupBarrier();

    for (var block = 0u; block < blocks; block++) {
      var scores = vec4f(0.0);
      for (var quad = 0u; quad < QUADS; quad++) {
        scores += query[quad] * keys[block * QUADS + quad];
      }
      let token = vec4u(0u, 1u, 2u, 3u) + (tile + block) * 4u;
      scores = select(vec4f(MASKED), scores, token < vec4u(TOKENS));

      let before = highest;
      highest = max(max(highest, scores.x), max(scores.y, max(scores.z, scores.w)));
      let correction = exp(before - highest);
      let weights = exp(scores - highest);
      total = total * correction + dot(weights, vec4f(1.0));
      for (var quad = 0u; quad < QUADS; quad++) {
        sum[quad] = sum[quad] * correction + values[block * QUADS + quad] * weights;
      }
    }
    workgroupBarrier();
  }

  if (!is_on_map(position)) {
    return;
  }
  let row = row_of_out(position, head);
  for (var quad = 0u; quad < QUADS; quad++) {
    out[row + quad] = sum[quad] / total;
  }
}
