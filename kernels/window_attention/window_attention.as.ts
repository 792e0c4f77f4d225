// A unit is a head of a window: its keys and values go into local memory, then a few queries of a row at a time attend.
import { TILE_ROWS } from "../shared/tile.as";
import { after_scores, attend, key_scale, keys_bytes, pack_keys, pack_value } from "../shared/attention.as";

export function window_attention_units(height: u32, width: u32, heads: u32, D: u32, WINDOW: u32): u32 {
  return ((height + WINDOW - 1) / WINDOW) * ((width + WINDOW - 1) / WINDOW) * heads;
}

export function window_attention(
  qkv: usize,
  qkv_bias: usize,
  out: usize,
  height: u32,
  width: u32,
  heads: u32,
  D: u32,
  WINDOW: u32,
  begin: u32,
  end: u32,
): void {
  const across = (width + WINDOW - 1) / WINDOW;
  for (let unit = begin; unit < end; unit++) {
    const window = unit / heads;
    const top = (window / across) * WINDOW;
    const left = (window % across) * WINDOW;
    head_of_window(qkv, qkv_bias, out, height, width, heads, unit % heads, D, WINDOW, top, left);
  }
}

function head_of_window(
  qkv: usize,
  qkv_bias: usize,
  out: usize,
  height: u32,
  width: u32,
  heads: u32,
  head: u32,
  D: u32,
  WINDOW: u32,
  top: u32,
  left: u32,
): void {
  const tokens = WINDOW * WINDOW;
  const C = <usize>(heads * D) * 4;
  const first = <usize>(head * D) * 4;
  const rows = after_scores(tokens);
  const keys = rows + <usize>(tokens + 4) * 4;
  const values = keys + keys_bytes(tokens, D);
  rows_of_window(qkv + first, qkv_bias + first, height, width, 3 * C, WINDOW, top, left, rows);
  const scale = key_scale(D);
  for (let m: u32 = 0; m < tokens; m += 4) {
    const row = rows + m * 4;
    const key0 = load<u32>(row) + C;
    pack_keys(key0, load<u32>(row, 4) + C, load<u32>(row, 8) + C, load<u32>(row, 12) + C, m, D, scale, keys);
  }
  for (let m: u32 = 0; m < tokens; m++)
    pack_value(load<u32>(rows + m * 4) + 2 * C, m, tokens, D, values);
  const right = min(left + WINDOW, width);
  for (let h = top; h < min(top + WINDOW, height); h++) {
    for (let w = left; w < right; w += TILE_ROWS) {
      const token = <usize>(h * width + w);
      attend(
        qkv + token * 3 * C + first,
        3 * C,
        min(TILE_ROWS, right - w),
        keys,
        values,
        tokens,
        D,
        out + token * C + first,
        C,
      );
    }
  }
}

/**
 * Writes the addresses of all tokens of a window to `to`, and the last one four times. Beyond the map there is the
 * projection of zeros: its bias.
 */
function rows_of_window(
  map: usize,
  bias: usize,
  height: u32,
  width: u32,
  stride: usize,
  WINDOW: u32,
  top: u32,
  left: u32,
  to: usize,
): void {
  let row = bias;
  for (let h = top; h < top + WINDOW; h++) {
    for (let w = left; w < left + WINDOW; w++, to += 4) {
      row = h < height && w < width ? map + <usize>(h * width + w) * stride : bias;
      store<u32>(to, row);
    }
  }
  v128.store(to, i32x4.splat(row));
}
