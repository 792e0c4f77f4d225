// What the LANES invocations of a workgroup found, put together by subgroups (over_lanes.wgsl does it in workgroup
// memory). Lanes are numbered through subgroups, which are full or the only one.

struct Lane {
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) place: u32,
}

// Lanes of a subgroup, which has so many at least.
const A_FEW = 8u;
var<workgroup> found_by_few: array<f32, (LANES + A_FEW - 1u) / A_FEW>;

// The number of an invocation in its workgroup.
fn lane_of(at: Lane) -> u32 {
  return at.subgroup * at.size + at.place;
}

// The sum over each `share` neighbouring lanes, a power of two: all of them learn it.
fn sum_over(value: f32, share: u32, at: Lane) -> f32 {
  var sum = value;
  for (var width = 1u; width < min(share, A_FEW); width *= 2u) {
    sum += subgroupShuffleXor(sum, width);
  }
  if (share <= A_FEW) {
    return sum;
  }
  let lane = lane_of(at);
  if (lane % A_FEW == 0u) {
    found_by_few[lane / A_FEW] = sum;
  }
  workgroupBarrier();
  let first = lane / share * (share / A_FEW);
  sum = 0.0;
  for (var i = 0u; i < share / A_FEW; i++) {
    sum += found_by_few[first + i];
  }
  workgroupBarrier();
  return sum;
}

fn sum_over_lanes(value: f32, at: Lane) -> f32 {
  return sum_over(value, LANES, at);
}

fn max_over_lanes(value: f32, at: Lane) -> f32 {
  let lane = lane_of(at);
  var most = value;
  for (var width = 1u; width < A_FEW; width *= 2u) {
    most = max(most, subgroupShuffleXor(most, width));
  }
  if (lane % A_FEW == 0u) {
    found_by_few[lane / A_FEW] = most;
  }
  workgroupBarrier();
  most = found_by_few[0];
  for (var i = 1u; i < LANES / A_FEW; i++) {
    most = max(most, found_by_few[i]);
  }
  workgroupBarrier();
  return most;
}
