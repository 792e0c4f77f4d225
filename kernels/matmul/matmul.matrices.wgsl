// What a tile adds up by matrix units, products of half precision in single: 2 x TILE/32 subgroups of 32 lanes, each
// with the sums of TILE/2 rows and 32 columns, in blocks of 16 x 16.

const SIDE = 16u;
const SUBGROUP = 32u;
const BLOCKS_DOWN = TILE / 2u / SIDE;
const BLOCKS_ACROSS = 2u;
const SUBGROUPS_ACROSS = TILE / (BLOCKS_ACROSS * SIDE);
const LANES = 2u * SUBGROUPS_ACROSS * SUBGROUP;
alias staged = vec4<f16>;
// Vectors of a row that pass through workgroup memory at a time; two more keep rows off each other's banks.
const SLAB = 8u;
const PITCH = SLAB + 2u;

alias Left = subgroup_matrix_left<f16, SIDE, SIDE>;
alias Right = subgroup_matrix_right<f16, SIDE, SIDE>;
alias Sums = subgroup_matrix_result<f32, SIDE, SIDE>;
alias OwnSums = array<Sums, BLOCKS_DOWN * BLOCKS_ACROSS>;
// A block of each subgroup, on its way out.
var<workgroup> blocks: array<f32, LANES / SUBGROUP * SIDE * SIDE>;

// The largest number of half precision stands for all beyond.
fn stage(four: vec4f) -> staged {
  return staged(clamp(four, vec4f(-65504.0), vec4f(65504.0)));
}

// Where the sums of a subgroup begin: row and column of the tile. All of its lanes agree, which compilers cannot see.
fn corner_of_subgroup(lane: u32) -> vec2u {
  let number = lane / SUBGROUP;
  return vec2u(number / SUBGROUPS_ACROSS * (TILE / 2u), number % SUBGROUPS_ACROSS * (BLOCKS_ACROSS * SIDE));
}

@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn add_slab(sums: ptr<function, OwnSums>, lane: u32) {
  let corner = corner_of_subgroup(lane);
  for (var k = 0u; k < SLAB; k += SIDE / 4u) {
    var right: array<Right, BLOCKS_ACROSS>;
    for (var j = 0u; j < BLOCKS_ACROSS; j++) {
      let column = corner.y + j * SIDE;
      right[j] = subgroupMatrixLoad<Right, col_major>(&weight_tile, column * PITCH + k, PITCH);
    }
    for (var i = 0u; i < BLOCKS_DOWN; i++) {
      let row = corner.x + i * SIDE;
      let left = subgroupMatrixLoad<Left, row_major>(&x_tile, row * PITCH + k, PITCH);
      for (var j = 0u; j < BLOCKS_ACROSS; j++) {
        let b = i * BLOCKS_ACROSS + j;
        sums[b] = subgroupMatrixMultiplyAccumulate(left, right[j], sums[b]);
      }
    }
  }
}

@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn store_sums(sums: ptr<function, OwnSums>, first_row: u32, first_column: u32, lane: u32) {
  let corner = corner_of_subgroup(lane);
  let block = lane / SUBGROUP * SIDE * SIDE;
  for (var i = 0u; i < BLOCKS_DOWN; i++) {
    for (var j = 0u; j < BLOCKS_ACROSS; j++) {
      subgroupMatrixStore<row_major>(&blocks, block, sums[i * BLOCKS_ACROSS + j], SIDE);
      workgroupBarrier();
      let row = first_row + corner.x + i * SIDE;
      let column = first_column + corner.y + j * SIDE;
      for (var e = lane % SUBGROUP; e < SIDE * SIDE; e += SUBGROUP) {
        store(first_row, row + e / SIDE, column + e % SIDE, blocks[block + e]);
      }
      workgroupBarrier();
    }
  }
}
