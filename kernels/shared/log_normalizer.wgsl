// What is subtracted from the scores of a row to make them log-probabilities, in this order: the largest
// score, and log(sum(exp(score - largest))). `sums` is what log_sum_exp found of the row's slices.
fn log_normalizer(row: u32, slices: u32) -> vec2f {
  let first = row * slices;
  var largest = LOWEST;
  for (var slice = 0u; slice < slices; slice++) {
    largest = max(largest, sums[first + slice].x);
  }
  var sum = 0.0;
  for (var slice = 0u; slice < slices; slice++) {
    sum += sums[first + slice].y * exp(sums[first + slice].x - largest);
  }
  return vec2f(largest, log(sum));
}
