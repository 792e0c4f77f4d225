// Workgroup reductions over the LANES invocations of a workgroup, in two passes through workgroup memory: every
// FAN_IN-th lane combines the values of FAN_IN lanes, then all lanes combine these partial results.
//
// uses kernel: LANES

const FAN_IN = 16u;
var<workgroup> lane_values: array<f32, LANES>;
var<workgroup> partial: array<f32, LANES>;

// The sum over each `share` neighbouring lanes, a power of two; all of them get it.
fn reduce_sum_of(value: f32, share: u32, lane: u32) -> f32 {
  let few = min(share, FAN_IN);
  lane_values[lane] = value;
  workgroupBarrier();
  if (lane % few == 0u) {
    var sum = 0.0;
    for (var i = 0u; i < few; i++) {
      sum += lane_values[lane + i];
    }
    partial[lane / few] = sum;
  }
  workgroupBarrier();
  let first = lane / share * (share / few);
  var sum = 0.0;
  for (var i = 0u; i < share / few; i++) {
    sum += partial[first + i];
  }
  return sum;
}

// The sum over the workgroup.
fn reduce_sum(value: f32, lane: u32) -> f32 {
  return reduce_sum_of(value, LANES, lane);
}

// The largest value of the workgroup.
fn reduce_max(value: f32, lane: u32) -> f32 {
  let few = min(LANES, FAN_IN);
  lane_values[lane] = value;
  workgroupBarrier();
  if (lane % few == 0u) {
    var largest = value;
    for (var i = 1u; i < few; i++) {
      largest = max(largest, lane_values[lane + i]);
    }
    partial[lane / few] = largest;
  }
  workgroupBarrier();
  var largest = partial[0];
  for (var i = 1u; i < LANES / few; i++) {
    largest = max(largest, partial[i]);
  }
  return largest;
}
