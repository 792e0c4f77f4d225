const LANES = 64u;
var<workgroup> bests: array<Best, LANES>;

// The best that any lane has, told to all.
fn best_of_lanes(own: Best, lane: u32) -> Best {
  bests[lane] = own;
  workgroupBarrier();
  for (var width = LANES / 2u; width > 0u; width /= 2u) {
    if (lane < width && is_better(bests[lane + width], bests[lane])) {
      bests[lane] = bests[lane + width];
    }
    workgroupBarrier();
  }
  let best = bests[0];
  workgroupBarrier();
  return best;
}
