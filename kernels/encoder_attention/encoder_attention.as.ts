// The first pass packs keys and values, a head a unit. Then a unit is QUERIES queries of a head.
import { TILE_ROWS } from "../shared/tile.as";
import { attend, key_scale, keys_bytes, pack_keys, pack_value, values_bytes } from "../shared/attention.as";
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
  const scale = key_scale(D);
  for (let h = begin; h < end; h++) {
    const keys = scratch + h * head_bytes(tokens, D);
    const values = keys + keys_bytes(tokens, D);
    const key = qkv + d + <usize>(h * D) * 4;
    const last = key + <usize>(tokens - 1) * 3 * d;
    for (let m: u32 = 0; m < tokens; m += 4) {
      const at = key + <usize>m * 3 * d;
      pack_keys(at, min(at + 3 * d, last), min(at + 6 * d, last), min(at + 9 * d, last), m, D, scale, keys);
    }
    for (let m: u32 = 0; m < tokens; m++) pack_value(key + <usize>m * 3 * d + d, m, tokens, D, values);
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
