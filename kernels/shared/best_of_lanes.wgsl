// The best of what 64 lanes found: eight lanes look at eight each, then all at those eight.
//
// uses vocabulary: Best, is_better

const LANES = 64u;
var<workgroup> bests: array<Best, LANES>;
var<workgroup> bests_of_eight: array<Best, 8>;

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
