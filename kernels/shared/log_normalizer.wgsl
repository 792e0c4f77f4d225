// The terms subtracted from the scores of a row to make them log-probabilities, in this order: the largest
// score, and log(sum(exp(score - largest))). `sums` is what log_sum_exp found of the row's slices, which all
// lanes put together.
//
// uses best_of_lanes: LANES
// uses reduce: reduce_max, reduce_sum
// uses vocabulary: LOWEST
// uses kernel: sums
fn log_normalizer(row: u32, slices: u32, lane: u32) -> vec2f {
  let first = row * slices;
  var own_largest = LOWEST;
  for (var slice = lane; slice < slices; slice += LANES) {
    own_largest = max(own_largest, sums[first + slice].x);
  }
  let largest = reduce_max(own_largest, lane);
  var own_sum = 0.0;
  for (var slice = lane; slice < slices; slice += LANES) {
    own_sum += sums[first + slice].y * exp(sums[first + slice].x - largest);
  }
  return vec2f(largest, log(reduce_sum(own_sum, lane)));
}
