// Packing: from the rows of a matrix as files have them to panels (see weights.as.ts), in the same memory.
import { local } from "./memory.as";
import { BLOCK, F16, F32, I8, LARGE_F16, PANEL, panel_bytes, Q8 } from "./weights.as";

/** Bytes of a row. */
function row_bytes(K: u32, format: u32): usize {
  return panel_bytes(K, format) / PANEL;
}

/** The bits of 128 as a half: what is less in magnitude can be raised. */
const LARGE_HALF: u32 = 0x5800;

/** Stores 1 to `found` if one of the rows of halves in panels `begin` to `end` has a weight of 128 or more, or NaN. */
export function find_large_halves(matrix: usize, K: u32, found: usize, begin: u32, end: u32): void {
  const size = panel_bytes(K, F16);
  const limits = i16x8.splat(<i16>LARGE_HALF - 1);
  let large = i16x8.splat(0);
  // A panel has 8 K halves.
  for (let at = matrix + begin * size; at < matrix + end * size; at += 16)
    large = v128.or(large, i16x8.gt_s(v128.and(v128.load(at), i16x8.splat(0x7fff)), limits));
  if (v128.any_true(large)) store<u32>(found, 1);
}

/** 2^10 times a half of less than 128, with exponents that go on where those of subnormal halves end. */
function raised(half: u32): u32 {
  const magnitude = half & 0x7fff;
  if (magnitude == 0) return half;
  if (magnitude >= 0x400) return half + (10 << 10);
  // A subnormal half is a fraction of 2^-14: its highest bit becomes that which is not stored.
  const shift = clz(magnitude) - 21;
  return (half & 0x8000) | (((11 - shift) << 10) + ((magnitude << shift) & 0x3ff));
}

/** Turns the panels `begin` to `end` of a matrix from rows into panels. */
export function pack_panels(matrix: usize, K: u32, format: u32, begin: u32, end: u32): void {
  const size = panel_bytes(K, format);
  for (let panel = begin; panel < end; panel++) {
    const at = matrix + <usize>panel * size;
    memory.copy(local, at, size);
    pack_panel(local, K, format, at);
  }
}

function pack_panel(rows: usize, K: u32, format: u32, to: usize): void {
  const stride = row_bytes(K, format);
  for (let row: u32 = 0; row < PANEL; row++, rows += stride) {
    if (format == F32 || format == I8) {
      // The words of a group lie among each other as the weights of f32 do.
      for (let at: usize = 0; at < stride; at += 4) store<u32>(to + at * 8 + row * 4, load<u32>(rows + at));
    } else if (format == F16) {
      for (let k: usize = 0; k < <usize>K; k++)
        store<u16>(to + (k * 8 + row) * 2, raised(load<u16>(rows + k * 2)));
    } else if (format == LARGE_F16) {
      for (let k: usize = 0; k < <usize>K; k++) store<u16>(to + (k * 8 + row) * 2, load<u16>(rows + k * 2));
    } else if (format == Q8) pack_q8(rows, row, K, to);
    else pack_q4(rows, row, K, to);
  }
}

function pack_q8(words: usize, row: u32, K: u32, to: usize): void {
  for (let block: usize = 0; block < <usize>(K / BLOCK); block++, words += 36, to += 288) {
    store<u32>(to + row * 4, load<u32>(words));
    for (let group: usize = 0; group < 8; group++)
      store<u32>(to + 32 + group * 32 + row * 4, load<u32>(words + 4 + group * 4));
  }
}

function pack_q4(words: usize, row: u32, K: u32, to: usize): void {
  for (let block: usize = 0; block < <usize>(K / BLOCK); block++, words += 20, to += 160) {
    store<u32>(to + row * 4, load<u32>(words));
    for (let k: usize = 0; k < 32; k++) {
      const q = (load<u8>(words + 4 + k / 2) >> (<u8>(k % 2) * 4)) & 15;
      const at = to + 32 + (k / 4) * 16 + (row % 4) * 4 + (k % 4);
      store<u8>(at, row < 4 ? q : load<u8>(at) | (q << 4));
    }
  }
}
