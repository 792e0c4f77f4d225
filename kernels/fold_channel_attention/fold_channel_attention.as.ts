// The first pass takes a group a unit: it makes the attention of its channels, mixes the columns of the output
// projection by it, and turns the rows of the value projection into panels. Then a unit is ROWS rows of the product of the two.
import { local, scratch } from "../shared/memory.as";
import { softmax_row } from "../shared/softmax.as";
import { add_up_rows, SUMS_BYTES } from "../shared/tile.as";
import { madd } from "../shared/vector.as";
import { PANEL, weight_at } from "../shared/weights.as";

const ROWS: u32 = 48;

/** Bytes of the mixed projection, (C, C) row by row; the panels of the values come after it. */
// @ts-ignore: decorator
@inline
function mixed_bytes(C: u32): usize {
  return <usize>C * <usize>C * 4;
}

export function fold_channel_attention_scratch(
  qkv_weight_format: u32,
  proj_weight_format: u32,
  chunks: u32,
  groups: u32,
  scale: f32,
  D: u32,
): u32 {
  const C = groups * D;
  const columns = ((C + PANEL - 1) / PANEL) * PANEL;
  return <u32>mixed_bytes(C) + columns * C * 4;
}

export function fold_channel_attention_first_units(
  qkv_weight_format: u32,
  proj_weight_format: u32,
  chunks: u32,
  groups: u32,
  scale: f32,
  D: u32,
): u32 {
  return groups;
}

export function fold_channel_attention_first(
  partials: usize,
  qkv_weight: usize,
  qkv_bias: usize,
  proj_weight: usize,
  proj_bias: usize,
  weight: usize,
  bias: usize,
  qkv_weight_format: u32,
  proj_weight_format: u32,
  chunks: u32,
  groups: u32,
  scale: f32,
  D: u32,
  begin: u32,
  end: u32,
): void {
  const C = groups * D;
  const values = scratch + mixed_bytes(C);
  const stride = <usize>D * 4;
  for (let group = begin; group < end; group++) {
    const first = group * D;
    for (let d: u32 = 0; d < D; d++) attention_row(partials, first + d, chunks, C, scale, D, local + d * stride);
    for (let o: u32 = 0; o < C; o++) {
      const to = scratch + (<usize>o * <usize>C + first) * 4;
      memory.fill(to, 0, stride);
      for (let d: u32 = 0; d < D; d++) {
        const factor = f32x4.splat(weight_at(proj_weight, o, first + d, C, proj_weight_format));
        const row = local + d * stride;
        for (let at: usize = 0; at < stride; at += 16)
          v128.store(to + at, madd(factor, v128.load(row + at), v128.load(to + at)));
      }
    }
    for (let c = first; c < first + D; c++) {
      for (let k: u32 = 0; k < C; k++) {
        const value = weight_at(qkv_weight, 2 * C + c, k, C, qkv_weight_format);
        store<f32>(values + <usize>((k - (k % PANEL)) * C + c * PANEL + (k % PANEL)) * 4, value);
      }
    }
  }
}

/** How channel c is mixed from the D of its group: softmax of the scaled sums over all chunks. */
function attention_row(partials: usize, c: u32, chunks: u32, C: u32, scale: f32, D: u32, to: usize): void {
  const stride = <usize>D * 4;
  memory.fill(to, 0, stride);
  for (let chunk: u32 = 0; chunk < chunks; chunk++) {
    const row = partials + <usize>(chunk * C + c) * stride;
    for (let at: usize = 0; at < stride; at += 16)
      v128.store(to + at, madd(f32x4.splat(scale), v128.load(row + at), v128.load(to + at)));
  }
  const factor = f32x4.splat(1 / softmax_row(to, D));
  for (let at: usize = 0; at < stride; at += 16) v128.store(to + at, f32x4.mul(v128.load(to + at), factor));
}

export function fold_channel_attention_units(
  qkv_weight_format: u32,
  proj_weight_format: u32,
  chunks: u32,
  groups: u32,
  scale: f32,
  D: u32,
): u32 {
  return (groups * D + ROWS - 1) / ROWS;
}

export function fold_channel_attention(
  partials: usize,
  qkv_weight: usize,
  qkv_bias: usize,
  proj_weight: usize,
  proj_bias: usize,
  weight: usize,
  bias: usize,
  qkv_weight_format: u32,
  proj_weight_format: u32,
  chunks: u32,
  groups: u32,
  scale: f32,
  D: u32,
  begin: u32,
  end: u32,
): void {
  const C = groups * D;
  const stride = <usize>C * 4;
  const values = scratch + mixed_bytes(C);
  const first = begin * ROWS;
  const last = min(end * ROWS, C);
  for (let o = first; o < last; o++) {
    let shift: f64 = load<f32>(proj_bias + <usize>o * 4);
    for (let c: u32 = 0; c < C; c++) {
      const mixed: f64 = load<f32>(scratch + <usize>o * stride + <usize>c * 4);
      shift += mixed * <f64>load<f32>(qkv_bias + <usize>(2 * C + c) * 4);
    }
    store<f32>(bias + <usize>o * 4, <f32>shift);
  }
  for (let k: u32 = 0; k < C; k += PANEL) {
    const panel = values + <usize>k * stride;
    add_up_rows(scratch + <usize>first * stride, stride, last - first, panel, C, local, true);
    let sums = local;
    for (let o = first; o < last; o++, sums += SUMS_BYTES) {
      const to = weight + <usize>o * stride + <usize>k * 4;
      v128.store(to, v128.load(sums));
      // C is a multiple of four.
      if (k + 4 < C) v128.store(to, v128.load(sums, 16), 16);
    }
  }
}
