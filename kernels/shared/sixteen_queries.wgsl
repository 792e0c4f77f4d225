// Attention of 16 queries of one head, for devices with slow workgroup memory (see sixteen_rows.wgsl). D / 4
// invocations score D keys at a time, lane l keys l, l + LANES, ...; scores pass through workgroup memory, from where
// lane s of a subgroup follows the softmax of queries s % 8 and 8 + s % 8; then lane l sums weighted channels
// 4l..4l+3 of all queries.
//
// The kernel that includes this says where they are: four_channels(token, part, quad) gives channels 4 * quad, ... of
// a query (part 0), key (1) or value (2).

override LANES: u32 = D / 4u;
// Of a query with keys l, l + LANES, ... by query and l.
var<workgroup> scores: array<vec4f, ROWS * LANES>;
// Stands for a score of no key; finite, so that differences stay numbers.
const NOTHING = -1e30;

// The highest score of a query so far, and the sum of its weights relative to it.
struct Softmax {
  highest: f32,
  total: f32,
}

// Takes in the scores of a row. Returns what the query's sums so far are to be multiplied with.
fn follow(query: ptr<function, Softmax>, row: u32) -> f32 {
  var most = vec4f((*query).highest);
  for (var i = 0u; i < LANES; i++) {
    most = max(most, scores[row * LANES + i]);
  }
  let highest = max(max(most.x, most.y), max(most.z, most.w));
  let correction = exp((*query).highest - highest);
  (*query).highest = highest;
  (*query).total *= correction;
  return correction;
}

// The weights of keys i, i + LANES, ..., which join the query's total.
fn four_weights(query: ptr<function, Softmax>, row: u32, i: u32) -> vec4f {
  let weights = exp(scores[row * LANES + i] - (*query).highest);
  (*query).total += dot(weights, vec4f(1.0));
  return weights;
}

// Attention of the queries from `first_query` on, of the lane's four channels, by query.
fn attend(first_query: u32, query_count: u32, key_count: u32, at: Lane) -> Sums {
  let lane = lane_of(at);
  let rows = min(ROWS, query_count - first_query);
  let are_many = rows > FEW;
  let upper_row = at.place % 8u;
  let lower_row = 8u + upper_row;
  let upper_query = min(first_query + upper_row, query_count - 1u);
  let lower_query = min(first_query + lower_row, query_count - 1u);
  let scale = inverseSqrt(f32(D));
  let stride = LANES * vec4u(0u, 1u, 2u, 3u);
  var upper = Softmax(NOTHING, 0.0);
  var lower = Softmax(NOTHING, 0.0);
  var sums: Sums;
  for (var first = 0u; first < key_count; first += 4u * LANES) {
    let own = min(first + lane + stride, vec4u(key_count - 1u));
    var products = Sums();
    for (var quad = 0u; quad < LANES; quad++) {
      let keys = transpose(mat4x4f(
        four_channels(own.x, 1u, quad),
        four_channels(own.y, 1u, quad),
        four_channels(own.z, 1u, quad),
        four_channels(own.w, 1u, quad),
      ));
      let upper_four = scale * four_channels(upper_query, 0u, quad);
      let lower_four = scale * four_channels(lower_query, 0u, quad);
      add_products(&products, upper_four, lower_four, keys, are_many);
    }
    let there = first + lane + stride < vec4u(key_count);
    for (var row = 0u; row < rows; row++) {
      scores[row * LANES + lane] = select(vec4f(NOTHING), next_sums(&products), there);
    }
    workgroupBarrier();

    let upper_correction = follow(&upper, upper_row);
    let lower_correction = follow(&lower, lower_row);
    scale_rows(&sums, upper_correction, lower_correction);
    for (var i = 0u; i < LANES; i++) {
      let key = min(first + i + stride, vec4u(key_count - 1u));
      let values = mat4x4f(
        four_channels(key.x, 2u, lane),
        four_channels(key.y, 2u, lane),
        four_channels(key.z, 2u, lane),
        four_channels(key.w, 2u, lane),
      );
      let upper_weights = four_weights(&upper, upper_row, i);
      let lower_weights = four_weights(&lower, lower_row, i);
      add_products(&sums, upper_weights, lower_weights, values, are_many);
    }
    workgroupBarrier();
  }
  scale_rows(&sums, 1.0 / upper.total, 1.0 / lower.total);
  return sums;
}
