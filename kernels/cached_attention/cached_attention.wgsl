// out[r, h] = softmax over t of (q[r, h] · keys[t, a(r, t), h] / sqrt(D)) · values[t, a(r, t), h], a = ancestry,
// and keys[position, r] = k[r], values[position, r] = v[r], where a row of qkv is q, k and v side by side
//
// One workgroup per row and head; the steps so far are taken LANES at a time (see query_attention.wgsl). Those of
// the row's own step come from qkv: no workgroup reads of the caches what another one writes.
//
// uses grid: linear_workgroup
// uses query_attention: attend, attended

struct Params {
  rows: u32,
  steps: u32,
}

override D: u32 = 4;
override H: u32 = 1;

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(1) var<storage, read> ancestry: array<u32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> keys: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> values: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
override QUADS: u32 = D / 4u;
var<private> row: u32;
var<private> head: u32;

// Where q (part 0), k (1) or v (2) of this step begin for the row and head of this workgroup.
fn own(part: u32) -> u32 {
  return ((row * 3u + part) * H + head) * QUADS;
}

// Where the keys and values of a step begin in the caches.
fn entry(step: u32, of_row: u32) -> u32 {
  return ((step * params.rows + of_row) * H + head) * QUADS;
}

fn cached(step: u32) -> u32 {
  return entry(step, ancestry[row * params.steps + step]);
}

fn value(step: u32, quad: u32) -> vec4f {
  if (step == position[0]) {
    return qkv[own(2u) + quad];
  }
  return values[cached(step) + quad];
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
  row = index / H;
  head = index % H;
  let last = position[0];

  if (lane < QUADS) {
    keys[entry(last, row) + lane] = qkv[own(1u) + lane];
    values[entry(last, row) + lane] = qkv[own(2u) + lane];
  }
  for (var first = 0u; first <= last; first += LANES) {
    let step = first + lane;
    var score = 0.0;
    if (step == last) {
      for (var quad = 0u; quad < QUADS; quad++) {
        score += dot(qkv[own(0u) + quad], qkv[own(1u) + quad]);
      }
    } else if (step < last) {
      let key = cached(step);
      for (var quad = 0u; quad < QUADS; quad++) {
        score += dot(qkv[own(0u) + quad], keys[key + quad]);
      }
    }
    attend(first, min(LANES, last + 1u - first), score * inverseSqrt(f32(D)), lane);
  }
  let mean = attended(lane);
  if (lane < QUADS) {
    out[index * QUADS + lane] = mean;
  }
}
