// Layer norm inside of other kernels: mean and 1 / standard deviation of neighbouring rows of `normed`, which the
// kernel that includes this binds as vectors of four, beside norm_weight and norm_bias. Of its LANES invocations
// `share`, a power of two, look at each row (see reduce.wgsl); LANES / share rows are at most ROWS.
//
// uses reduce: reduce_sum_of
// uses kernel: ROWS, norm_bias, norm_weight, normed

const EPSILON = 1e-5;
var<workgroup> statistics: array<vec2f, ROWS>;

// Fills `statistics` for the rows from first_row on; rows behind last_row repeat it.
fn find_statistics(first_row: u32, last_row: u32, vectors: u32, share: u32, lane: u32) {
  find_statistics_from(min(first_row + lane / share, last_row) * vectors, vectors, share, lane);
}

// The same for rows that begin anywhere: each at `start` of the lanes that share it. Each lane takes squares around
// an element of its own, so that a mean far from zero costs no accuracy, and memory is read once.
fn find_statistics_from(start: u32, vectors: u32, share: u32, lane: u32) {
  let first = min(lane % share, vectors - 1u);
  let pivot = normed[start + first];
  var count = 0.0;
  var sum = vec4f(0.0);
  var squares = vec4f(0.0);
  for (var v = lane % share; v < vectors; v += share) {
    let difference = normed[start + v] - pivot;
    count += 1.0;
    sum += difference;
    squares += difference * difference;
  }
  let shift = sum / max(count, 1.0);
  let own_mean = pivot + shift;
  let elements = f32(vectors * 4u);
  let mean = reduce_sum_of(count * dot(own_mean, vec4f(1.0)), share, lane) / elements;
  let away = own_mean - mean;
  let own_squares = squares - shift * sum + count * away * away;
  let variance = reduce_sum_of(dot(own_squares, vec4f(1.0)), share, lane) / elements;
  statistics[lane / share] = vec2f(mean, inverseSqrt(variance + EPSILON));
  workgroupBarrier();
}

// Columns 4 * vector, ... of a row with these statistics.
fn normalized(four: vec4f, of_row: vec2f, vector: u32) -> vec4f {
  return (four - of_row.x) * of_row.y * norm_weight[vector] + norm_bias[vector];
}
