// A unit is CHANNELS channels of all tokens, so that one thread adds up the mean of a channel.
import { local } from "../shared/memory.as";

const CHANNELS: u32 = 64;

export function add_image_positions_units(
  height: u32,
  width: u32,
  out_row: u32,
  mean_row: u32,
  C: u32,
  HAS_MEAN: u32,
): u32 {
  return (C + CHANNELS - 1) / CHANNELS;
}

export function add_image_positions(
  x: usize,
  row_embeddings: usize,
  column_embeddings: usize,
  temporal: usize,
  out: usize,
  height: u32,
  width: u32,
  out_row: u32,
  mean_row: u32,
  C: u32,
  HAS_MEAN: u32,
  begin: u32,
  end: u32,
): void {
  const row_channels = C / 2;
  const column_channels = C - row_channels;
  const first = begin * CHANNELS;
  const last = min(end * CHANNELS, C);
  memory.fill(local, 0, <usize>(last - first) * 8);
  for (let token: u32 = 0; token < height * width; token++) {
    const columns = column_embeddings + <usize>((token % width) * column_channels) * 4;
    const rows = row_embeddings + <usize>((token / width) * row_channels) * 4 - <usize>column_channels * 4;
    for (let c = first; c < last; c++) {
      const at = <usize>c * 4;
      const position = load<f32>((c < column_channels ? columns : rows) + at);
      const value = load<f32>(x + <usize>(token * C) * 4 + at) + position + load<f32>(temporal + at);
      store<f32>(out + <usize>((out_row + token) * C) * 4 + at, value);
      const sum = local + <usize>(c - first) * 8;
      store<f64>(sum, load<f64>(sum) + value);
    }
  }
  if (!HAS_MEAN) return;
  for (let c = first; c < last; c++) {
    const mean = load<f64>(local + <usize>(c - first) * 8) / <f64>(height * width);
    store<f32>(out + <usize>(mean_row * C + c) * 4, <f32>mean);
  }
}
