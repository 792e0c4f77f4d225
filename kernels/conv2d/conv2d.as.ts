// The first pass writes the map, normalised and with zeros around, into scratch memory. There a row of a filter meets
// neighbours: KERNEL products of matrices, one for each row, whose rows are STRIDE pixels apart, add up to the result.
// A unit is about BLOCK_PIXELS of the output, in whole rows, by up to BLOCK_COLUMNS of its channels: as many share a panel
// of filters while it is in the nearest caches.
import { local, scratch } from "../shared/memory.as";
import { normalize_row } from "../shared/norm.as";
import { add_up_rows, SUMS_BYTES } from "../shared/tile.as";
import { store_some } from "../shared/vector.as";
import { panel_bytes, panel_in_f32, PANEL } from "../shared/weights.as";

const BLOCK_PIXELS: u32 = 192;
const BLOCK_COLUMNS: u32 = 64;

/** Rows of the output in a unit. */
// @ts-ignore: decorator
@inline
function rows_of_unit(out_width: u32): u32 {
  return max(1, BLOCK_PIXELS / out_width);
}

export function conv2d_scratch(
  weight_format: u32,
  height: u32,
  width: u32,
  out_height: u32,
  out_width: u32,
  channels: u32,
  outputs: u32,
  KERNEL: u32,
  STRIDE: u32,
  PADDING: u32,
  HAS_NORM: u32,
): u32 {
  return (height + 2 * PADDING) * (width + 2 * PADDING) * channels * 4;
}

export function conv2d_first_units(
  weight_format: u32,
  height: u32,
  width: u32,
  out_height: u32,
  out_width: u32,
  channels: u32,
  outputs: u32,
  KERNEL: u32,
  STRIDE: u32,
  PADDING: u32,
  HAS_NORM: u32,
): u32 {
  return height + 2 * PADDING;
}

export function conv2d_first(
  normed: usize,
  norm_weight: usize,
  norm_bias: usize,
  weight: usize,
  bias: usize,
  out: usize,
  weight_format: u32,
  height: u32,
  width: u32,
  out_height: u32,
  out_width: u32,
  channels: u32,
  outputs: u32,
  KERNEL: u32,
  STRIDE: u32,
  PADDING: u32,
  HAS_NORM: u32,
  begin: u32,
  end: u32,
): void {
  const pixel = <usize>channels * 4;
  const row = <usize>width * pixel;
  const margin = <usize>PADDING * pixel;
  for (let h = begin; h < end; h++) {
    const to = scratch + <usize>h * (row + 2 * margin);
    if (h < PADDING || h >= PADDING + height) {
      memory.fill(to, 0, row + 2 * margin);
      continue;
    }
    const from = normed + <usize>(h - PADDING) * row;
    memory.fill(to, 0, margin);
    memory.fill(to + margin + row, 0, margin);
    if (!HAS_NORM) memory.copy(to + margin, from, row);
    else {
      for (let at: usize = 0; at < row; at += pixel)
        normalize_row(from + at, norm_weight, norm_bias, channels, to + margin + at);
    }
  }
}

export function conv2d_units(
  weight_format: u32,
  height: u32,
  width: u32,
  out_height: u32,
  out_width: u32,
  channels: u32,
  outputs: u32,
  KERNEL: u32,
  STRIDE: u32,
  PADDING: u32,
  HAS_NORM: u32,
): u32 {
  const rows = rows_of_unit(out_width);
  return ((out_height + rows - 1) / rows) * ((outputs + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS);
}

export function conv2d(
  normed: usize,
  norm_weight: usize,
  norm_bias: usize,
  weight: usize,
  bias: usize,
  out: usize,
  weight_format: u32,
  height: u32,
  width: u32,
  out_height: u32,
  out_width: u32,
  channels: u32,
  outputs: u32,
  KERNEL: u32,
  STRIDE: u32,
  PADDING: u32,
  HAS_NORM: u32,
  begin: u32,
  end: u32,
): void {
  const filter_row = KERNEL * channels;
  const row_bytes = <usize>filter_row * 32;
  const K = KERNEL * filter_row;
  const size = panel_bytes(K, weight_format);
  const map_row = <usize>(width + 2 * PADDING) * <usize>channels * 4;
  const stride = <usize>(STRIDE * channels) * 4;
  const blocks = (outputs + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
  const rows = rows_of_unit(out_width);
  const widened = local + out_width * SUMS_BYTES;
  for (let unit = begin; unit < end; unit++) {
    const first = (unit / blocks) * rows;
    const last = min(first + rows, out_height);
    const column = (unit % blocks) * BLOCK_COLUMNS;
    for (let n = column; n < min(column + BLOCK_COLUMNS, outputs); n += PANEL) {
      const panel = panel_in_f32(weight + <usize>(n / PANEL) * size, K, weight_format, min(PANEL, outputs - n), widened);
      for (let h = first; h < last; h++) {
        const map = scratch + <usize>(h * STRIDE) * map_row;
        for (let i: u32 = 0; i < KERNEL; i++)
          add_up_rows(map + i * map_row, stride, out_width, panel + i * row_bytes, filter_row, local, i == 0);
        const to = out + (<usize>(h * out_width) * <usize>outputs + n) * 4;
        store_row(local, bias + <usize>n * 4, to, out_width, outputs, outputs - n);
      }
    }
  }
}

function store_row(sums: usize, bias: usize, out: usize, width: u32, outputs: u32, left: u32): void {
  const low = v128.load(bias);
  const high = v128.load(bias, 16);
  for (let w: u32 = 0; w < width; w++, sums += 32, out += <usize>outputs * 4) {
    store_some(out, f32x4.add(v128.load(sums), low), left * 4);
    if (left > 4) store_some(out + 16, f32x4.add(v128.load(sums, 16), high), left * 4 - 16);
  }
}
