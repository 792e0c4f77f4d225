// out[r, h] = softmax over t of (q[r, h] · keys[t, a(r, t), h] / sqrt(D)) · values[t, a(r, t), h], a = ancestry
//
// One workgroup per row and head; the steps so far are taken LANES at a time (see query_attention.wgsl).

struct Params {
  rows: u32,
  columns: u32,
  steps: u32,
}

override D: u32 = 1;
override H: u32 = 1;

@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> keys: array<f32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read> ancestry: array<u32>;
@group(0) @binding(4) var<storage, read> position: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

// Where the keys and values of a step begin for this row and head.
fn entry(row: u32, head: u32, step: u32) -> u32 {
  return ((step * params.rows + ancestry[row * params.steps + step]) * H + head) * D;
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
  let query = row * params.columns + head * D;
  let seen = position[0] + 1u;

  begin_attention(lane);
  for (var first = 0u; first < seen; first += LANES) {
    let step = first + lane;
    var score = NOTHING;
    if (step < seen) {
      let key = entry(row, head, step);
      score = 0.0;
      for (var c = 0u; c < D; c++) {
        score += q[query + c] * keys[key + c];
      }
      score *= inverseSqrt(f32(D));
    }
    let count = min(LANES, seen - first);
    let rescale = weigh(score, lane);
    for (var c = lane; c < D; c += LANES) {
      var sum = rescale * weighted[c];
      for (var i = 0u; i < count; i++) {
        sum += weight[i] * values[entry(row, head, first + i) + c];
      }
      weighted[c] = sum;
    }
    workgroupBarrier();
  }
  for (var c = lane; c < D; c += LANES) {
    out[index * D + c] = weighted[c] / total;
  }
}
