// What sampling draws from: scores / temperature, of which the top_k highest, of which the likeliest that
// together have the probability top_p. What is dropped becomes LOWEST.
//
// One workgroup per row; a lane reads and writes columns of its own. Both thresholds are found bit by bit: the bits of a score, put so that they rise
// with it, are compared with a prefix, and all lanes together count what reaches it.
//
// uses grid: linear_workgroup
// uses reduce: reduce_sum
// uses vocabulary: LOWEST

struct Params {
  rows: u32,
  columns: u32,
  temperature: f32,
  top_k: u32,
  droppable: f32,
  min_kept: u32,
}

@group(0) @binding(0) var<storage, read_write> scores: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 256u;

// Unsigned numbers in the order of the scores.
fn rank_bits(score: f32) -> u32 {
  let bits = bitcast<u32>(score);
  return bits ^ select(0x80000000u, 0xffffffffu, bits >= 0x80000000u);
}

fn score_of(rank: u32) -> f32 {
  return bitcast<f32>(rank ^ select(0xffffffffu, 0x80000000u, rank >= 0x80000000u));
}

// How many scores of the row rank at min_kept as high.
fn count_from(start: u32, threshold: u32, lane: u32) -> f32 {
  var count = 0.0;
  for (var column = lane; column < params.columns; column += LANES) {
    let score = scores[start + column];
    count += select(0.0, 1.0, score > LOWEST && rank_bits(score) >= threshold);
  }
  return reduce_sum(count, lane);
}

// The weight, exp(score - largest), of all scores of the row that rank lower.
fn weight_below(start: u32, threshold: u32, largest: f32, lane: u32) -> f32 {
  var weight = 0.0;
  for (var column = lane; column < params.columns; column += LANES) {
    let score = scores[start + column];
    if (score > LOWEST && rank_bits(score) < threshold) {
      weight += exp(score - largest);
    }
  }
  return reduce_sum(weight, lane);
}

// The rank of the k-th highest score, 0 if there are fewer.
fn rank_of_highest(start: u32, k: u32, lane: u32) -> u32 {
  var rank = 0u;
  for (var bit = 0x80000000u; bit > 0u; bit /= 2u) {
    if (count_from(start, rank | bit, lane) >= f32(k)) {
      rank |= bit;
    }
  }
  return rank;
}

// Drops the scores below a rank and the first `equals` of that rank.
fn drop_below(start: u32, rank: u32, equals: u32, lane: u32) {
  // The column before which so many of that rank stand.
  var end = 0u;
  for (var bit = 0x80000000u >> countLeadingZeros(params.columns); bit > 0u; bit /= 2u) {
    var count = 0.0;
    for (var column = lane; column < min(end | bit, params.columns); column += LANES) {
      count += select(0.0, 1.0, rank_bits(scores[start + column]) == rank);
    }
    if (reduce_sum(count, lane) <= f32(equals)) {
      end |= bit;
    }
  }
  for (var column = lane; column < params.columns; column += LANES) {
    let own = rank_bits(scores[start + column]);
    if (own < rank || (own == rank && column < end)) {
      scores[start + column] = LOWEST;
    }
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_workgroup(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.columns;
  for (var column = lane; column < params.columns; column += LANES) {
    if (scores[start + column] > LOWEST) {
      scores[start + column] /= params.temperature;
    }
  }

  if (params.top_k > 0u) {
    drop_below(start, rank_of_highest(start, params.top_k, lane), 0u, lane);
  }
  if (params.droppable > 0.0) {
    let largest = score_of(rank_of_highest(start, 1u, lane));
    let total = weight_below(start, 0xffffffffu, largest, lane);
    // The highest rank below which no more than `droppable` lies, but at min_kept `min_kept` scores from it on.
    var rank = 0u;
    for (var bit = 0x80000000u; bit > 0u; bit /= 2u) {
      let below = weight_below(start, rank | bit, largest, lane);
      let left = count_from(start, rank | bit, lane);
      if (below / total <= params.droppable && left >= f32(params.min_kept)) {
        rank |= bit;
      }
    }
    // Of the scores of just this rank, as many as fit in as well.
    let room = params.droppable * total - weight_below(start, rank, largest, lane);
    let spare = count_from(start, rank, lane) - f32(params.min_kept);
    drop_below(start, rank, u32(max(0.0, min(floor(room / exp(score_of(rank) - largest)), spare))), lane);
  }
}
