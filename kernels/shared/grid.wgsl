// The counter of the recording, if it has one (see Recording.runWhile); else 1.
@group(1) @binding(1) var<uniform> work_left: u32;

// Past the end of every grid, with room for a tile's size as a factor.
const NOWHERE = 0x3ffffffu;

// The number of a workgroup when a one-dimensional grid was folded into two dimensions. Where no work is
// left, every workgroup finds itself past the end.
fn linear_workgroup(group: vec3u, groups: vec3u) -> u32 {
  return select(NOWHERE, group.y * groups.x + group.x, work_left != 0u);
}
