// Sums of products of 16 rows and four columns for each invocation, for devices with slow workgroup memory, and
// subgroups of at least 8: lane s of a subgroup reads rows s % 8 and 8 + s % 8 and tells them to the others.

const ROWS = 16u;
// Up to so many rows cost no more than they need.
const FEW = 4u;

// Of every row, by column.
var<private> sums: array<vec4f, ROWS>;

// Adds four products to every sum, of what the lanes have of their upper and lower row and of their four columns.
fn add_products(upper: vec4f, lower: vec4f, columns: mat4x4f, are_many: bool) {
  let turned = transpose(columns);
  sums[0] += turned * subgroupBroadcast(upper, 0u);
  sums[1] += turned * subgroupBroadcast(upper, 1u);
  sums[2] += turned * subgroupBroadcast(upper, 2u);
  sums[3] += turned * subgroupBroadcast(upper, 3u);
  if (are_many) {
    sums[4] += turned * subgroupBroadcast(upper, 4u);
    sums[5] += turned * subgroupBroadcast(upper, 5u);
    sums[6] += turned * subgroupBroadcast(upper, 6u);
    sums[7] += turned * subgroupBroadcast(upper, 7u);
    sums[8] += turned * subgroupBroadcast(lower, 0u);
    sums[9] += turned * subgroupBroadcast(lower, 1u);
    sums[10] += turned * subgroupBroadcast(lower, 2u);
    sums[11] += turned * subgroupBroadcast(lower, 3u);
    sums[12] += turned * subgroupBroadcast(lower, 4u);
    sums[13] += turned * subgroupBroadcast(lower, 5u);
    sums[14] += turned * subgroupBroadcast(lower, 6u);
    sums[15] += turned * subgroupBroadcast(lower, 7u);
  }
}

// What a norm multiplies with and adds, of eight vectors: since every lane needs the same one, each reads another, and
// tells it to the others.
var<private> own_norm_weight: vec4f;
var<private> own_norm_bias: vec4f;

// Has to be called for each vector, one after the other.
fn read_norm(vector: u32, vectors: u32, at: Lane) {
  if (vector % 8u == 0u) {
    let own = min(vector + at.place % 8u, vectors - 1u);
    own_norm_weight = norm_weight[own];
    own_norm_bias = norm_bias[own];
  }
}

// The same as normalized(), by what was read.
fn normalized_together(four: vec4f, of_row: vec2f, vector: u32) -> vec4f {
  let scale = subgroupShuffle(own_norm_weight, vector % 8u);
  let shift = subgroupShuffle(own_norm_bias, vector % 8u);
  return standardized(four, of_row) * scale + shift;
}

// The sums of the first row; those of the others move up. Without an index that varies, all stay in registers, and
// compilers that do not unroll this are quick about it.
fn next_sums() -> vec4f {
  let first = sums[0];
  for (var i = 1u; i < ROWS; i++) {
    sums[i - 1u] = sums[i];
  }
  return first;
}
