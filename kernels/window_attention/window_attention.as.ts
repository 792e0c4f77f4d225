// A unit is a head of a window: its keys and values go into local memory, then a few queries of a row at a time attend.
import { TILE_ROWS } from "../shared/tile.as";
import { after_scores, attend, keys_bytes, pack_key, pack_value, pad_keys } from "../shared/attention.as";

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
  const keys = after_scores(tokens);
  const values = keys + keys_bytes(tokens, D);
  for (let m: u32 = 0; m < tokens; m++) {
    const h = top + m / WINDOW;
    const w = left + (m % WINDOW);
    // Beyond the map the projection of zeros: its bias.
    const row = h < height && w < width ? qkv + <usize>(h * width + w) * 3 * C : qkv_bias;
    pack_key(row + C + first, m, D, keys);
    pack_value(row + 2 * C + first, m, tokens, D, values);
  }
  pad_keys(tokens, D, keys);
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
