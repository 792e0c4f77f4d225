// What some runtimes compute otherwise.

import { add_up_integers, INTEGER_TILE_ROWS, integer_row_bytes } from "./integers.as";
import { local } from "./memory.as";
import { SUMS_BYTES } from "./tile.as";
import { LEAST_BYTE } from "./vector.as";
import { GROUP, GROUP_PANEL_BYTES, PANEL } from "./weights.as";

/** One more than one row is multiplied by at once. */
const PANELS: u32 = 5;

/**
 * 1 if products in whole numbers are right, in tiles of every height. Without VNNI, x64 cannot add up products of whole
 * bytes by the relaxed dot instruction: it adds pairs of products in 16 bits, which are too few. So does Arm without its
 * dot instruction, where all four factors are least. The first compiler of V8 11 (Liftoff) loses sums where registers
 * are few. It compiles what is called for the first time.
 */
export function checks_integers(): u32 {
  const stride = integer_row_bytes(GROUP);
  const x = local + INTEGER_TILE_ROWS * PANELS * SUMS_BYTES;
  const panels = x + INTEGER_TILE_ROWS * stride;
  fill(x, stride, panels);
  for (let rows = INTEGER_TILE_ROWS; rows > 0; rows--) {
    add_up_integers(x, stride, rows, panels, PANELS, GROUP, local);
    let sums = local;
    for (let panel: u32 = 0; panel < PANELS; panel++) {
      for (let row: u32 = 0; row < rows; row++, sums += SUMS_BYTES) {
        for (let column: u32 = 0; column < PANEL; column++) {
          const weights = panels + panel * GROUP_PANEL_BYTES + 64 + column * 4;
          const expected = <f32>sum_of_products(x + row * stride + 8, weights);
          if (load<f32>(sums + column * 4) != expected) return 0;
        }
      }
    }
  }
  return 1;
}

/** Rows and panels of a group each, with scales of 1 and zero points of 0, of all bytes. */
function fill(x: usize, stride: usize, panels: usize): void {
  for (let row: u32 = 0; row < INTEGER_TILE_ROWS; row++) {
    store<f32>(x + row * stride, 1);
    store<i32>(x + row * stride, 0, 4);
    for (let k: u32 = 0; k < GROUP; k++) store<u8>(x + row * stride + k, <u8>(k * 37 + row * 11), 8);
  }
  const bytes = <u32>GROUP_PANEL_BYTES * PANELS;
  for (let i: u32 = 0; i < bytes; i++) store<u8>(panels + i, <u8>(i * 29 + i / 16));
  // With a sign, the least byte.
  store<u32>(x, 0x80808080, 8);
  store<u32>(panels, 0x80808080, 64);
  for (let panel = panels; panel < panels + bytes; panel += GROUP_PANEL_BYTES) {
    for (let column: u32 = 0; column < PANEL; column++) {
      store<f32>(panel + column * 4, 1);
      store<i32>(panel + column * 4, 0, 32);
    }
  }
}

function sum_of_products(q: usize, weights: usize): i32 {
  let sum: i32 = 0;
  for (let k: u32 = 0; k < GROUP; k++) {
    const byte = LEAST_BYTE < 0 ? <i32>load<i8>(q + k) : <i32>load<u8>(q + k);
    sum += byte * <i32>load<i8>(weights + (k / 4) * PANEL * 4 + (k % 4));
  }
  return sum;
}
