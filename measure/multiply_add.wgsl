// out[i] = x[i], each component multiplied and added to again and again, in four chains of which none
// waits for another.
//
// One invocation per four elements.

struct Params {
  quads: u32,
  steps: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 256u;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_workgroup(group, groups) * LANES + lane;
  if (i < params.quads) {
    let b = x[i];
    var chain0 = b;
    var chain1 = b.yzwx;
    var chain2 = b.zwxy;
    var chain3 = b.wxyz;
    for (var step = 0u; step < params.steps; step++) {
      chain0 = chain0 * 0.5 + b;
      chain1 = chain1 * 0.5 + b;
      chain2 = chain2 * 0.5 + b;
      chain3 = chain3 * 0.5 + b;
    }
    out[i] = chain0 + chain1 + chain2 + chain3;
  }
}
