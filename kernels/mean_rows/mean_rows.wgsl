// x[out_row, c] = mean over rows first_row <= r < end_row of x[r, c]
//
// One workgroup per 32 columns: lane 32 * s + j adds up rows first_row + s, first_row + s + 8, ... of
// column j; the first 32 lanes then add the 8 sums of their column.

struct Params {
  first_row: u32,
  end_row: u32,
  out_row: u32,
}

override C: u32 = 1;

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const COLUMNS = 32u;
const SLICES = 8u;
var<workgroup> sums: array<f32, COLUMNS * SLICES>;

@compute @workgroup_size(COLUMNS, SLICES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let c = linear_workgroup(group, groups) * COLUMNS + local.x;

  var sum = 0.0;
  if (c < C) {
    for (var r = params.first_row + local.y; r < params.end_row; r += SLICES) {
      sum += x[r * C + c];
    }
  }
  sums[lane] = sum;
  workgroupBarrier();

  if (local.y == 0u && c < C) {
    for (var s = 1u; s < SLICES; s++) {
      sum += sums[s * COLUMNS + local.x];
    }
    x[params.out_row * C + c] = sum / f32(params.end_row - params.first_row);
  }
}
