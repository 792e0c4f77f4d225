// Sums of a tile by matrix units: 2 x TILE/32 subgroups of 32 lanes, each with the sums of TILE/2 rows and 32
// columns, in blocks of 16 x 16. The units multiply half precision and add up in single. That is enough for weights
// that have no more; each element of x goes in twice, its leading bits and the rest.
//
// uses constants: TILE
// uses kernel: store

const SIDE = 16u;
const SUBGROUP = 32u;
const BLOCKS_DOWN = TILE / 2u / SIDE;
const BLOCKS_ACROSS = 2u;
const SUBGROUPS_ACROSS = TILE / (BLOCKS_ACROSS * SIDE);
const LANES = 2u * SUBGROUPS_ACROSS * SUBGROUP;
// Vectors of a row that pass through workgroup memory at a time; two more keep rows off each other's banks.
const SLAB = SIDE / 4u;
const PITCH = SLAB + 2u;
var<workgroup> x_tile: array<vec4<f16>, TILE * PITCH>;
var<workgroup> rest_of_x_tile: array<vec4<f16>, TILE * PITCH>;
var<workgroup> weight_tile: array<vec4<f16>, TILE * PITCH>;

// The number of an invocation in its workgroup, by subgroups: each multiplies blocks of its own.
struct Lane {
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) place: u32,
}

fn lane_of(at: Lane) -> u32 {
  return at.subgroup * at.size + at.place;
}

alias Left = subgroup_matrix_left<f16, SIDE, SIDE>;
alias Right = subgroup_matrix_right<f16, SIDE, SIDE>;
alias Sums = subgroup_matrix_result<f32, SIDE, SIDE>;
alias OwnSums = array<Sums, BLOCKS_DOWN * BLOCKS_ACROSS>;
// A block of each subgroup, on its way out.
var<workgroup> blocks: array<f32, LANES / SUBGROUP * SIDE * SIDE>;

// As many leading bits of each element as half precision holds, by bits, since compilers may take rounding there
// and back for nothing.
fn leading(four: vec4f) -> vec4f {
  return bitcast<vec4f>(bitcast<vec4u>(four) & vec4u(0xffffe000u));
}

// The largest number of half precision stands for all beyond.
fn half(four: vec4f) -> vec4<f16> {
  return vec4<f16>(clamp(four, vec4f(-65504.0), vec4f(65504.0)));
}

fn stage(i: u32, from_x: vec4f, from_weight: vec4f) {
  x_tile[i] = half(leading(from_x));
  rest_of_x_tile[i] = half(from_x - leading(from_x));
  weight_tile[i] = half(from_weight);
}

// Where the sums of a subgroup begin: row and column of the tile. All of its lanes agree, which compilers cannot see.
fn corner_of_subgroup(lane: u32) -> vec2u {
  let number = lane / SUBGROUP;
  return vec2u(number / SUBGROUPS_ACROSS * (TILE / 2u), number % SUBGROUPS_ACROSS * (BLOCKS_ACROSS * SIDE));
}

@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn add_slab(sums: ptr<function, OwnSums>, lane: u32) {
  let corner = corner_of_subgroup(lane);
  var right: array<Right, BLOCKS_ACROSS>;
  for (var j = 0u; j < BLOCKS_ACROSS; j++) {
    right[j] = subgroupMatrixLoad<Right, col_major>(&weight_tile, (corner.y + j * SIDE) * PITCH, PITCH);
  }
  for (var i = 0u; i < BLOCKS_DOWN; i++) {
    let row = corner.x + i * SIDE;
    let left = subgroupMatrixLoad<Left, row_major>(&x_tile, row * PITCH, PITCH);
    let rest = subgroupMatrixLoad<Left, row_major>(&rest_of_x_tile, row * PITCH, PITCH);
    for (var j = 0u; j < BLOCKS_ACROSS; j++) {
      let b = i * BLOCKS_ACROSS + j;
      sums[b] = subgroupMatrixMultiplyAccumulate(left, right[j], sums[b]);
      sums[b] = subgroupMatrixMultiplyAccumulate(rest, right[j], sums[b]);
    }
  }
}

// Sums are stored in turns, of so many rows: a row of blocks of each subgroup.
const TURNS = BLOCKS_DOWN;
const TURN_ROWS = 2u * SIDE;

// The place of a row of the tile among those of its turn.
fn row_of_turn(row: u32) -> u32 {
  return row / (TILE / 2u) * SIDE + row % SIDE;
}

@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn store_turn(turn: u32, sums: ptr<function, OwnSums>, first_row: u32, first_column: u32, lane: u32) {
  let corner = corner_of_subgroup(lane);
  let block = lane / SUBGROUP * SIDE * SIDE;
  for (var j = 0u; j < BLOCKS_ACROSS; j++) {
    subgroupMatrixStore<row_major>(&blocks, block, sums[turn * BLOCKS_ACROSS + j], SIDE);
    workgroupBarrier();
    let row = first_row + corner.x + turn * SIDE;
    let column = first_column + corner.y + j * SIDE;
    for (var e = lane % SUBGROUP; e < SIDE * SIDE; e += SUBGROUP) {
      store(first_row, row + e / SIDE, column + e % SIDE, blocks[block + e]);
    }
    workgroupBarrier();
  }
}
