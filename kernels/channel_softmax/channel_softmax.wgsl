// attention[r] = softmax(scale * sum over chunks of partials[chunk, r]) for each row r of D scores
//
// One workgroup per row: lane D * s + d adds up chunks s, s + SLICES, ... of score d; then each of the
// first D lanes sums the slices of its score, and looks over all scores for maximum and sum.

struct Params {
  chunks: u32,
  rows: u32,
  scale: f32,
}

override D: u32 = 1;

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> attention: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 256u;
override SLICES: u32 = LANES / D;
var<workgroup> sums: array<f32, LANES>;
var<workgroup> scores: array<f32, D>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_workgroup(group, groups);
  if (row >= params.rows) {
    return;
  }
  let d = lane % D;

  var sum = 0.0;
  if (lane < SLICES * D) {
    for (var chunk = lane / D; chunk < params.chunks; chunk += SLICES) {
      sum += partials[(chunk * params.rows + row) * D + d];
    }
  }
  sums[lane] = sum;
  workgroupBarrier();

  if (lane < D) {
    for (var s = 1u; s < SLICES; s++) {
      sum += sums[s * D + d];
    }
    scores[d] = sum * params.scale;
  }
  workgroupBarrier();

  if (lane < D) {
    var highest = scores[0];
    for (var i = 1u; i < D; i++) {
      highest = max(highest, scores[i]);
    }
    var total = 0.0;
    for (var i = 0u; i < D; i++) {
      total += exp(scores[i] - highest);
    }
    attention[row * D + d] = exp(scores[d] - highest) / total;
  }
}
