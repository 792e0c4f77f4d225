// out[r, c] = (x[r, c] - mean(x[r])) / sqrt(variance(x[r]) + eps) * weight[c] + bias[c]
//
// One workgroup per row; lane l reads columns l, l + 64, l + 128, ... three times: mean, variance, result.

struct Params {
  rows: u32,
  eps: f32,
}

override C: u32 = 1;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
var<workgroup> partial: array<f32, LANES>;

fn sum_over_lanes(value: f32, lane: u32) -> f32 {
  partial[lane] = value;
  workgroupBarrier();
  for (var width = LANES / 2u; width > 0u; width /= 2u) {
    if (lane < width) {
      partial[lane] += partial[lane + width];
    }
    workgroupBarrier();
  }
  let total = partial[0];
  workgroupBarrier();
  return total;
}

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
  let start = row * C;

  var sum = 0.0;
  for (var c = lane; c < C; c += LANES) {
    sum += x[start + c];
  }
  let mean = sum_over_lanes(sum, lane) / f32(C);

  var squares = 0.0;
  for (var c = lane; c < C; c += LANES) {
    let difference = x[start + c] - mean;
    squares += difference * difference;
  }
  let scale = inverseSqrt(sum_over_lanes(squares, lane) / f32(C) + params.eps);

  for (var c = lane; c < C; c += LANES) {
    out[start + c] = (x[start + c] - mean) * scale * weight[c] + bias[c];
  }
}
