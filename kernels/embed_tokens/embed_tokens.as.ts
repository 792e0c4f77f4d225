// A unit is a token.
import { local } from "../shared/memory.as";
import { row_in_f32 } from "../shared/weights.as";

export function embed_tokens_units(
  table_format: u32,
  count: u32,
  d: u32,
  band_start: u32,
  band_rows: u32,
  first_position: u32,
  advance: u32,
  out_row: u32,
): u32 {
  return count;
}

export function embed_tokens(
  ids: usize,
  table: usize,
  positions: usize,
  position: usize,
  out: usize,
  table_format: u32,
  count: u32,
  d: u32,
  band_start: u32,
  band_rows: u32,
  first_position: u32,
  advance: u32,
  out_row: u32,
  begin: u32,
  end: u32,
): void {
  for (let i = begin; i < end; i++) {
    const row = load<u32>(ids + <usize>i * 4) - band_start;
    // Ids before the band wrap round to large numbers.
    if (row >= band_rows) continue;
    const place = first_position + load<u32>(position) + i * advance;
    row_in_f32(table, row, d, table_format, local);
    const at = positions + <usize>(place * d) * 4;
    const to = out + <usize>((out_row + i) * d) * 4;
    for (let c: usize = 0; c < <usize>d * 4; c += 4) store<f32>(to + c, load<f32>(local + c) + load<f32>(at + c));
  }
}
