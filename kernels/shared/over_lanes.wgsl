// What the LANES invocations of a workgroup found, put together in workgroup memory (over_lanes.subgroups.wgsl does it
// by subgroups): one lane of a few looks at those few, then all at what these found.

struct Lane {
  @builtin(local_invocation_index) number: u32,
}

const A_FEW = 16u;
var<workgroup> found: array<f32, LANES>;
var<workgroup> found_by_few: array<f32, LANES>;

// The number of an invocation in its workgroup.
fn lane_of(at: Lane) -> u32 {
  return at.number;
}

// The sum over each `share` neighbouring lanes, a power of two: all of them learn it.
fn sum_over(value: f32, share: u32, at: Lane) -> f32 {
  let few = min(share, A_FEW);
  found[at.number] = value;
  workgroupBarrier();
  if (at.number % few == 0u) {
    var sum = 0.0;
    for (var i = 0u; i < few; i++) {
      sum += found[at.number + i];
    }
    found_by_few[at.number / few] = sum;
  }
  workgroupBarrier();
  let first = at.number / share * (share / few);
  var sum = 0.0;
  for (var i = 0u; i < share / few; i++) {
    sum += found_by_few[first + i];
  }
  return sum;
}

fn sum_over_lanes(value: f32, at: Lane) -> f32 {
  return sum_over(value, LANES, at);
}

fn max_over_lanes(value: f32, at: Lane) -> f32 {
  let few = min(LANES, A_FEW);
  found[at.number] = value;
  workgroupBarrier();
  if (at.number % few == 0u) {
    var most = value;
    for (var i = 1u; i < few; i++) {
      most = max(most, found[at.number + i]);
    }
    found_by_few[at.number / few] = most;
  }
  workgroupBarrier();
  var most = found_by_few[0];
  for (var i = 1u; i < LANES / few; i++) {
    most = max(most, found_by_few[i]);
  }
  return most;
}
