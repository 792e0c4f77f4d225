// What 64 lanes found, put together: eight lanes look at eight each, then all at those eight.

const LANES = 64u;
var<workgroup> bests: array<Best, LANES>;
var<workgroup> bests_of_eight: array<Best, 8>;
var<workgroup> numbers: array<f32, LANES>;
var<workgroup> sums_of_eight: array<f32, 8>;

fn best_of_lanes(own: Best, lane: u32) -> Best {
  bests[lane] = own;
  workgroupBarrier();
  if (lane < 8u) {
    var best = bests[lane * 8u];
    for (var i = 1u; i < 8u; i++) {
      best = better(best, bests[lane * 8u + i]);
    }
    bests_of_eight[lane] = best;
  }
  workgroupBarrier();
  var best = bests_of_eight[0];
  for (var i = 1u; i < 8u; i++) {
    best = better(best, bests_of_eight[i]);
  }
  return best;
}

fn better(a: Best, b: Best) -> Best {
  if (is_better(b, a)) {
    return b;
  }
  return a;
}

fn sum_of_lanes(own: f32, lane: u32) -> f32 {
  numbers[lane] = own;
  workgroupBarrier();
  if (lane < 8u) {
    var sum = 0.0;
    for (var i = 0u; i < 8u; i++) {
      sum += numbers[lane * 8u + i];
    }
    sums_of_eight[lane] = sum;
  }
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < 8u; i++) {
    sum += sums_of_eight[i];
  }
  return sum;
}
