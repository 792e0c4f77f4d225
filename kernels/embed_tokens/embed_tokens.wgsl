// out[out_row + i] = table[ids[i] - band_start] + positions[first_position + position + i * advance]
//
// One invocation per four elements; ids outside the band of the table are left to other dispatches.
//
// uses grid: linear_workgroup
// uses weights.*: four_of_table, stored_table

struct Params {
  count: u32,
  d: u32,
  band_start: u32,
  band_rows: u32,
  first_position: u32,
  advance: u32,
  out_row: u32,
}

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<stored_table>;
@group(0) @binding(2) var<storage, read> positions: array<vec4f>;
@group(0) @binding(3) var<storage, read> position: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let vector = linear_workgroup(group, groups) * 64u + lane;
  let vectors = params.d / 4u;
  if (vector >= params.count * vectors) {
    return;
  }
  let i = vector / vectors;
  let c = vector % vectors;
  let id = ids[i];
  if (id < params.band_start || id >= params.band_start + params.band_rows) {
    return;
  }
  let place = params.first_position + position[0] + i * params.advance;
  let word = four_of_table((id - params.band_start) * vectors + c);
  out[(params.out_row + i) * vectors + c] = word + positions[place * vectors + c];
}
