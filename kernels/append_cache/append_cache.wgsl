// cache[position, r, c] = x[r, firstColumn + c]
//
// One invocation per element of the step.

struct Params {
  rows: u32,
  columns: u32,
  firstColumn: u32,
  d: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> position: array<u32>;
@group(0) @binding(2) var<storage, read_write> cache: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_workgroup(group, groups) * 64u + lane;
  if (i < params.rows * params.d) {
    let row = i / params.d;
    let column = i % params.d;
    cache[position[0] * params.rows * params.d + i] = x[row * params.columns + params.firstColumn + column];
  }
}
