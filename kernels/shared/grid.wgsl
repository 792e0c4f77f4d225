// The number of a workgroup when a one-dimensional grid was folded into two dimensions.
fn linear_workgroup(group: vec3u, groups: vec3u) -> u32 {
  return group.y * groups.x + group.x;
}
