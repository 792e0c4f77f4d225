// out[r, h] = softmax over s of (q[r, h] · k[p, s, h] / sqrt(D)) · v[p, s, h], p the picture of row r
//
// One workgroup per row and head; source tokens are taken LANES at a time (see query_attention.wgsl).

struct Params {
  rows: u32,
  rowsPerPicture: u32,
  source: u32,
}

override D: u32 = 1;
override H: u32 = 1;

@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> keysValues: array<f32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

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
  let picture = index / H / params.rowsPerPicture;
  let stride = 2u * H * D;
  let keys = picture * params.source * stride + index % H * D;
  let values = keys + H * D;
  let query = index * D;
  let length = lengths[picture];

  begin_attention(lane);
  for (var first = 0u; first < length; first += LANES) {
    let token = first + lane;
    var score = NOTHING;
    if (token < length) {
      score = 0.0;
      for (var c = 0u; c < D; c++) {
        score += q[query + c] * keysValues[keys + token * stride + c];
      }
      score *= inverseSqrt(f32(D));
    }
    let count = min(LANES, length - first);
    let rescale = weigh(score, lane);
    for (var c = lane; c < D; c += LANES) {
      var sum = rescale * weighted[c];
      for (var i = 0u; i < count; i++) {
        sum += weight[i] * keysValues[values + (first + i) * stride + c];
      }
      weighted[c] = sum;
    }
    workgroupBarrier();
  }
  for (var c = lane; c < D; c += LANES) {
    out[query + c] = weighted[c] / total;
  }
}
