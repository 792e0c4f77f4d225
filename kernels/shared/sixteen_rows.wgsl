// Sums of products of 16 rows and two columns for each invocation, for devices with slow workgroup memory, and
// subgroups of at least 8: lane s of a subgroup reads rows s % 8 and 8 + s % 8 and tells them to the others.

const ROWS = 16u;
// Up to so many rows cost no more than they need.
const FEW = 4u;

var<private> sums: array<vec2f, ROWS>;

// Adds four products to every sum, of what the lanes have of their upper and lower row and of their two columns.
fn add_products(upper: vec4f, lower: vec4f, left: vec4f, right: vec4f, are_many: bool) {
  for (var j = 0u; j < 4u; j++) {
    let both = vec2f(left[j], right[j]);
    sums[0] += subgroupBroadcast(upper[j], 0u) * both;
    sums[1] += subgroupBroadcast(upper[j], 1u) * both;
    sums[2] += subgroupBroadcast(upper[j], 2u) * both;
    sums[3] += subgroupBroadcast(upper[j], 3u) * both;
    if (are_many) {
      sums[4] += subgroupBroadcast(upper[j], 4u) * both;
      sums[5] += subgroupBroadcast(upper[j], 5u) * both;
      sums[6] += subgroupBroadcast(upper[j], 6u) * both;
      sums[7] += subgroupBroadcast(upper[j], 7u) * both;
      sums[8] += subgroupBroadcast(lower[j], 0u) * both;
      sums[9] += subgroupBroadcast(lower[j], 1u) * both;
      sums[10] += subgroupBroadcast(lower[j], 2u) * both;
      sums[11] += subgroupBroadcast(lower[j], 3u) * both;
      sums[12] += subgroupBroadcast(lower[j], 4u) * both;
      sums[13] += subgroupBroadcast(lower[j], 5u) * both;
      sums[14] += subgroupBroadcast(lower[j], 6u) * both;
      sums[15] += subgroupBroadcast(lower[j], 7u) * both;
    }
  }
}

// The sums of the first row; those of the others move up. Without an index that varies, all stay in registers, and
// compilers that do not unroll this are quick about it.
fn next_sums() -> vec2f {
  let first = sums[0];
  for (var i = 1u; i < ROWS; i++) {
    sums[i - 1u] = sums[i];
  }
  return first;
}
