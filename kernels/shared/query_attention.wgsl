// Attention of one query by one workgroup. Keys come LANES at a time; the softmax is kept up to date on the way,
// by its highest score and by sums relative to it, so that no more scores than these are ever in memory. The
// kernel that includes this says what LANES is, how many vectors of four a head has (QUADS), and what
// `value(key, quad)` is; each lane sums one quad of every SLICES-th value.
//
// uses masked: MASKED
// uses reduce: reduce_max, reduce_sum
// uses kernel: LANES, QUADS, value

override SLICES: u32 = LANES / QUADS;

var<workgroup> weights: array<f32, LANES>;
var<workgroup> sums: array<vec4f, LANES>;
var<private> highest = MASKED;
var<private> total = 0.0;
var<private> sum = vec4f(0.0);

// Takes in keys first to first + count - 1, the lane's own with its score.
fn attend(first: u32, count: u32, score: f32, lane: u32) {
  let before = highest;
  highest = max(before, reduce_max(select(MASKED, score, lane < count), lane));
  let weight = select(0.0, exp(score - highest), lane < count);
  weights[lane] = weight;
  workgroupBarrier();

  let correction = exp(before - highest);
  total = total * correction + weight;
  sum *= correction;
  if (lane < SLICES * QUADS) {
    for (var key = lane / QUADS; key < count; key += SLICES) {
      sum += weights[key] * value(first + key, lane % QUADS);
    }
  }
}

// The weighted mean of the values: its quad number `lane`, for the first QUADS lanes.
fn attended(lane: u32) -> vec4f {
  sums[lane] = sum;
  // Has barriers enough for the sums as well.
  let whole = reduce_sum(total, lane);
  var all = vec4f(0.0);
  if (lane < QUADS) {
    for (var slice = 0u; slice < SLICES; slice++) {
      all += sums[slice * QUADS + lane];
    }
  }
  return all / whole;
}
