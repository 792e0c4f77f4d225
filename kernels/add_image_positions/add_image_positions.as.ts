// A unit is CHANNELS channels of all tokens, so that one thread adds up the mean of a channel.
const CHANNELS: u32 = 16;

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
  const last = min(end * CHANNELS, C);
  for (let c = begin * CHANNELS; c < last; c++) {
    const of_all = load<f32>(temporal + <usize>c * 4);
    let sum: f64 = 0;
    for (let h: u32 = 0; h < height; h++) {
      for (let w: u32 = 0; w < width; w++) {
        const position =
          c < column_channels
            ? load<f32>(column_embeddings + <usize>(w * column_channels + c) * 4)
            : load<f32>(row_embeddings + <usize>(h * row_channels + c - column_channels) * 4);
        const token = h * width + w;
        const value = load<f32>(x + <usize>(token * C + c) * 4) + position + of_all;
        store<f32>(out + <usize>((out_row + token) * C + c) * 4, value);
        sum += value;
      }
    }
    if (HAS_MEAN) store<f32>(out + <usize>(mean_row * C + c) * 4, <f32>(sum / <f64>(height * width)));
  }
}
