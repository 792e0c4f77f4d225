// Sums of a tile by plain multiplication and addition in single precision. Of U x V = TILE/4 x TILE/8 invocations,
// (u, v) has the sums of rows v, v + V, ... v + 7V and columns u, u + U, u + 2U, u + 3U.
//
// uses constants: TILE
// uses kernel: store

const U = TILE / 4u;
const V = TILE / 8u;
const LANES = U * V;
// Vectors of a row that pass through workgroup memory at a time; one more keeps lanes off each other's banks.
const SLAB = 4u;
const PITCH = SLAB + 1u;
var<workgroup> x_tile: array<vec4f, TILE * PITCH>;
var<workgroup> weight_tile: array<vec4f, TILE * PITCH>;

alias OwnSums = array<vec4f, 8>;

// The number of an invocation in its workgroup.
struct Lane {
  @builtin(local_invocation_index) number: u32,
}

fn lane_of(at: Lane) -> u32 {
  return at.number;
}

fn stage(i: u32, from_x: vec4f, from_weight: vec4f) {
  x_tile[i] = from_x;
  weight_tile[i] = from_weight;
}

fn add_slab(sums: ptr<function, OwnSums>, lane: u32) {
  let u = lane % U;
  let v = lane / U;
  for (var k = 0u; k < SLAB; k++) {
    let weights = transpose(mat4x4f(
      weight_tile[u * PITCH + k],
      weight_tile[(u + U) * PITCH + k],
      weight_tile[(u + 2u * U) * PITCH + k],
      weight_tile[(u + 3u * U) * PITCH + k],
    ));
    for (var i = 0u; i < 8u; i++) {
      let four = x_tile[(v + i * V) * PITCH + k];
      sums[i] += four.x * weights[0];
      sums[i] += four.y * weights[1];
      sums[i] += four.z * weights[2];
      sums[i] += four.w * weights[3];
    }
  }
}

// Sums are stored in turns, of so many rows.
const TURNS = 8u;
const TURN_ROWS = V;

// The place of a row of the tile among those of its turn.
fn row_of_turn(row: u32) -> u32 {
  return row % V;
}

// Rows move up as they are stored: without an index that varies, all stay in registers, and compilers
// that do not unroll this are quick about it.
fn store_turn(turn: u32, sums: ptr<function, OwnSums>, first_row: u32, first_column: u32, lane: u32) {
  let row = first_row + turn * V + lane / U;
  let column = first_column + lane % U;
  store(first_row, row, column, sums[0].x);
  store(first_row, row, column + U, sums[0].y);
  store(first_row, row, column + 2u * U, sums[0].z);
  store(first_row, row, column + 3u * U, sums[0].w);
  for (var i = 1u; i < TURNS; i++) {
    sums[i - 1u] = sums[i];
  }
}
