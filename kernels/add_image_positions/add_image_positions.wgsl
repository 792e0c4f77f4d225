// out[out_row + h * width + w, c] = x[h * width + w, c] + position + temporal[c], where position is
// column_embeddings[w, c] for the first COLUMN_C channels and row_embeddings[h, c - COLUMN_C] for the others; and
// out[mean_row, c] = the mean of these over h and w, if there is such a row
//
// One workgroup of 16 x 16 per 16 channels: lane (i, s) writes channel i of tokens s, s + 16, ... and adds them up;
// then the first 16 lanes add the 16 sums of their channel.
//
// uses grid: linear_workgroup

struct Params {
  height: u32,
  width: u32,
  out_row: u32,
  mean_row: u32,
}

override C: u32 = 1;
override HAS_MEAN: u32 = 0;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> row_embeddings: array<f32>;
@group(0) @binding(2) var<storage, read> column_embeddings: array<f32>;
@group(0) @binding(3) var<storage, read> temporal: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const CHANNELS = 16u;
const SLICES = 16u;
override ROW_C: u32 = C / 2u;
override COLUMN_C: u32 = C - ROW_C;
var<workgroup> sums: array<f32, CHANNELS * SLICES>;

fn position(h: u32, w: u32, c: u32) -> f32 {
  if (c < COLUMN_C) {
    return column_embeddings[w * COLUMN_C + c];
  }
  return row_embeddings[h * ROW_C + c - COLUMN_C];
}

@compute @workgroup_size(CHANNELS, SLICES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let c = linear_workgroup(group, groups) * CHANNELS + local.x;
  let tokens = params.height * params.width;

  var sum = 0.0;
  if (c < C) {
    for (var token = local.y; token < tokens; token += SLICES) {
      let placed = x[token * C + c] + position(token / params.width, token % params.width, c) + temporal[c];
      out[(params.out_row + token) * C + c] = placed;
      sum += placed;
    }
  }
  sums[lane] = sum;
  workgroupBarrier();

  if (HAS_MEAN == 1u && local.y == 0u && c < C) {
    for (var s = 1u; s < SLICES; s++) {
      sum += sums[s * CHANNELS + local.x];
    }
    out[params.mean_row * C + c] = sum / f32(tokens);
  }
}
