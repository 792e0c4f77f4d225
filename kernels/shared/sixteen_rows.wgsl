// Sums of products of 16 rows and four columns for each invocation, for devices with slow workgroup memory, and
// subgroups of at least 8: lane s of a subgroup reads rows s % 8 and 8 + s % 8 and tells them to the others.

const ROWS = 16u;
// Up to so many rows cost no more than they need.
const FEW = 4u;

// Of every row, by column.
alias Sums = array<vec4f, ROWS>;

// Adds four products to every sum, of what the lanes have of their upper and lower row, and of four by four factors:
// for each product, those of the lane's columns.
fn add_products(sums: ptr<function, Sums>, upper: vec4f, lower: vec4f, factors: mat4x4f, are_many: bool) {
  sums[0] += factors * subgroupBroadcast(upper, 0u);
  sums[1] += factors * subgroupBroadcast(upper, 1u);
  sums[2] += factors * subgroupBroadcast(upper, 2u);
  sums[3] += factors * subgroupBroadcast(upper, 3u);
  if (are_many) {
    sums[4] += factors * subgroupBroadcast(upper, 4u);
    sums[5] += factors * subgroupBroadcast(upper, 5u);
    sums[6] += factors * subgroupBroadcast(upper, 6u);
    sums[7] += factors * subgroupBroadcast(upper, 7u);
    sums[8] += factors * subgroupBroadcast(lower, 0u);
    sums[9] += factors * subgroupBroadcast(lower, 1u);
    sums[10] += factors * subgroupBroadcast(lower, 2u);
    sums[11] += factors * subgroupBroadcast(lower, 3u);
    sums[12] += factors * subgroupBroadcast(lower, 4u);
    sums[13] += factors * subgroupBroadcast(lower, 5u);
    sums[14] += factors * subgroupBroadcast(lower, 6u);
    sums[15] += factors * subgroupBroadcast(lower, 7u);
  }
}

// Multiplies every row by what the lanes have for their upper and lower row.
fn scale_rows(sums: ptr<function, Sums>, upper: f32, lower: f32) {
  sums[0] *= subgroupBroadcast(upper, 0u);
  sums[1] *= subgroupBroadcast(upper, 1u);
  sums[2] *= subgroupBroadcast(upper, 2u);
  sums[3] *= subgroupBroadcast(upper, 3u);
  sums[4] *= subgroupBroadcast(upper, 4u);
  sums[5] *= subgroupBroadcast(upper, 5u);
  sums[6] *= subgroupBroadcast(upper, 6u);
  sums[7] *= subgroupBroadcast(upper, 7u);
  sums[8] *= subgroupBroadcast(lower, 0u);
  sums[9] *= subgroupBroadcast(lower, 1u);
  sums[10] *= subgroupBroadcast(lower, 2u);
  sums[11] *= subgroupBroadcast(lower, 3u);
  sums[12] *= subgroupBroadcast(lower, 4u);
  sums[13] *= subgroupBroadcast(lower, 5u);
  sums[14] *= subgroupBroadcast(lower, 6u);
  sums[15] *= subgroupBroadcast(lower, 7u);
}

// The sums of the first row; those of the others move up. Without an index that varies, all stay in registers, and
// compilers that do not unroll this are quick about it.
fn next_sums(sums: ptr<function, Sums>) -> vec4f {
  let first = sums[0];
  for (var i = 1u; i < ROWS; i++) {
    sums[i - 1u] = sums[i];
  }
  return first;
}
