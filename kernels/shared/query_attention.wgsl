// Attention of one query by one workgroup: keys come LANES at a time, softmax is kept up to date on the
// way (its largest score and its sum), so that scores of all keys are never in memory.

const LANES = 64u;
// Stands for a score of no key; finite, so that differences stay numbers.
const NOTHING = -1e30;
const MAX_WIDTH = 128u;

var<workgroup> weight: array<f32, LANES>;
var<workgroup> scratch: array<f32, LANES>;
var<workgroup> weighted: array<f32, MAX_WIDTH>;
var<workgroup> largest: f32;
var<workgroup> total: f32;

fn begin_attention(lane: u32) {
  for (var c = lane; c < MAX_WIDTH; c += LANES) {
    weighted[c] = 0.0;
  }
  if (lane == 0u) {
    largest = NOTHING;
    total = 0.0;
  }
  workgroupBarrier();
}

// Turns the scores of LANES keys into weights and adds them to the total. Returns what earlier weighted
// values have to be multiplied with.
fn weigh(score: f32, lane: u32) -> f32 {
  let before = largest;
  scratch[lane] = score;
  workgroupBarrier();
  for (var width = LANES / 2u; width > 0u; width /= 2u) {
    if (lane < width) {
      scratch[lane] = max(scratch[lane], scratch[lane + width]);
    }
    workgroupBarrier();
  }
  let now = max(before, scratch[0]);
  let own = select(0.0, exp(score - now), score > NOTHING);
  workgroupBarrier();
  weight[lane] = own;
  scratch[lane] = own;
  workgroupBarrier();
  for (var width = LANES / 2u; width > 0u; width /= 2u) {
    if (lane < width) {
      scratch[lane] += scratch[lane + width];
    }
    workgroupBarrier();
  }
  let rescale = exp(before - now);
  if (lane == 0u) {
    largest = now;
    total = total * rescale + scratch[0];
  }
  workgroupBarrier();
  return rescale;
}
