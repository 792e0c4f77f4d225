// out[out_row + h * width + w, c] = x[h * width + w, c] + position + temporal[c], where position is
// column_embeddings[w, c] for the first COLUMN_C channels and row_embeddings[h, c - COLUMN_C] for the others
//
// One workgroup per token; lane l writes channels l, l + 64, l + 128, ... of each half.

struct Params {
  height: u32,
  width: u32,
  out_row: u32,
}

override C: u32 = 1;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> row_embeddings: array<f32>;
@group(0) @binding(2) var<storage, read> column_embeddings: array<f32>;
@group(0) @binding(3) var<storage, read> temporal: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
override ROW_C: u32 = C / 2u;
override COLUMN_C: u32 = C - ROW_C;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = linear_workgroup(group, groups);
  if (token >= params.height * params.width) {
    return;
  }
  let in_start = token * C;
  let out_start = (params.out_row + token) * C;

  let column = (token % params.width) * COLUMN_C;
  for (var c = lane; c < COLUMN_C; c += LANES) {
    out[out_start + c] = x[in_start + c] + column_embeddings[column + c] + temporal[c];
  }
  let row = (token / params.width) * ROW_C;
  for (var r = lane; r < ROW_C; r += LANES) {
    let c = COLUMN_C + r;
    out[out_start + c] = x[in_start + c] + row_embeddings[row + r] + temporal[c];
  }
}
