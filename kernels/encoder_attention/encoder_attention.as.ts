// The first pass packs keys and values, a head a unit. Then a unit is QUERIES queries of a head.
import { TILE_ROWS } from "../shared/tile.as";
import { attend, keys_bytes, pack_key, pack_value, pad_keys, values_bytes } from "../shared/attention.as";
import { scratch } from "../shared/memory.as";

const QUERIES: u32 = 24;

function head_bytes(tokens: u32, D: u32): usize {
  return keys_bytes(tokens, D) + values_bytes(tokens, D);
}

export function encoder_attention_scratch(tokens: u32, D: u32, H: u32): u32 {
  return H * <u32>head_bytes(tokens, D);
}

export function encoder_attention_first_units(tokens: u32, D: u32, H: u32): u32 {
  return H;
}

export function encoder_attention_first(
  qkv: usize,
  out: usize,
  tokens: u32,
  D: u32,
  H: u32,
  begin: u32,
  end: u32,
): void {
  const d = <usize>(D * H) * 4;
  for (let h = begin; h < end; h++) {
    const keys = scratch + h * head_bytes(tokens, D);
    const values = keys + keys_bytes(tokens, D);
    for (let m: u32 = 0; m < tokens; m++) {
      const key = qkv + <usize>m * 3 * d + d + <usize>(h * D) * 4;
      pack_key(key, m, D, keys);
      pack_value(key + d, m, tokens, D, values);
    }
    pad_keys(tokens, D, keys);
  }
}

export function encoder_attention_units(tokens: u32, D: u32, H: u32): u32 {
  return H * ((tokens + QUERIES - 1) / QUERIES);
}

export function encoder_attention(
  qkv: usize,
  out: usize,
  tokens: u32,
  D: u32,
  H: u32,
  begin: u32,
  end: u32,
): void {
  const d = <usize>(D * H) * 4;
  const blocks = (tokens + QUERIES - 1) / QUERIES;
  for (let unit = begin; unit < end; unit++) {
    const h = unit / blocks;
    const keys = scratch + h * head_bytes(tokens, D);
    const values = keys + keys_bytes(tokens, D);
    const first = (unit % blocks) * QUERIES;
    const last = min(first + QUERIES, tokens);
    const column = <usize>(h * D) * 4;
    for (let i = first; i < last; i += TILE_ROWS) {
      const query = qkv + <usize>i * 3 * d + column;
      attend(query, 3 * d, min(TILE_ROWS, last - i), keys, values, tokens, D, out + <usize>i * d + column, d);
    }
  }
}
