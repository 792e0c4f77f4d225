// Attention of many queries: keys and values of a head in panels of 8 columns, as products of matrices read them.
import { local } from "./memory.as";
import { softmax_row } from "./softmax.as";
import { add_up_tile, SUMS_BYTES, TILE_ROWS } from "./tile.as";
import { PANEL } from "./weights.as";

/** Bytes of the panels of some keys or values, as a multiple of whole panels. */
// @ts-ignore: decorator
@inline
export function keys_bytes(tokens: u32, D: u32): usize {
  return <usize>((tokens + PANEL - 1) / PANEL) * <usize>D * 32;
}

// @ts-ignore: decorator
@inline
export function values_bytes(tokens: u32, D: u32): usize {
  return <usize>((D + PANEL - 1) / PANEL) * <usize>tokens * 32;
}

/** Puts the key of token m, D values, into the panels of its head. */
export function pack_key(key: usize, m: u32, D: u32, panels: usize): void {
  let to = panels + <usize>(m / PANEL) * <usize>D * 32 + (m % PANEL) * 4;
  for (const end = key + <usize>D * 4; key < end; key += 4, to += 32) store<f32>(to, load<f32>(key));
}

/** Fills the last panel of keys with zeros. */
export function pad_keys(tokens: u32, D: u32, panels: usize): void {
  for (let m = tokens; m % PANEL != 0; m++) {
    let to = panels + <usize>(m / PANEL) * <usize>D * 32 + (m % PANEL) * 4;
    for (let d: u32 = 0; d < D; d++, to += 32) store<f32>(to, 0);
  }
}

/** Puts the value of token m, D values and a multiple of four, into the panels of its head of `tokens` tokens. */
export function pack_value(value: usize, m: u32, tokens: u32, D: u32, panels: usize): void {
  let to = panels + <usize>m * 32;
  for (let d: u32 = 0; d < D; d += PANEL, value += 32, to += <usize>tokens * 32) {
    v128.store(to, v128.load(value));
    v128.store(to, d + 4 < D ? v128.load(value, 16) : f32x4.splat(0), 16);
  }
}

/** Where kernels may put what they need beside `attend`: it uses what comes before. */
// @ts-ignore: decorator
@inline
export function after_scores(tokens: u32): usize {
  return local + TILE_ROWS * SUMS_BYTES + 32 + <usize>TILE_ROWS * score_stride(tokens);
}

// @ts-ignore: decorator
@inline
function score_stride(tokens: u32): usize {
  return <usize>((tokens + PANEL - 1) / PANEL) * 32;
}

/**
 * softmax(QKᵀ / √D) V of `rows` queries, at most TILE_ROWS.
 *
 * @param queries the first query of the head; the others follow `stride` bytes apart
 * @param out the same, `out_stride` bytes apart
 */
export function attend(
  queries: usize,
  stride: usize,
  rows: u32,
  keys: usize,
  values: usize,
  tokens: u32,
  D: u32,
  out: usize,
  out_stride: usize,
): void {
  const scale = f32x4.splat(<f32>(1 / Math.sqrt(<f64>D)));
  const factors = local + TILE_ROWS * SUMS_BYTES;
  const scores = factors + 32;
  const score_row = score_stride(tokens);
  for (let n: usize = 0; n < score_row; n += 32, keys += <usize>D * 32) {
    add_up_tile(queries, stride, rows, keys, D, local, true);
    for (let r: u32 = 0; r < rows; r++) {
      const sums = local + r * 32;
      const to = scores + r * score_row + n;
      v128.store(to, f32x4.mul(v128.load(sums), scale));
      v128.store(to, f32x4.mul(v128.load(sums, 16), scale), 16);
    }
  }
  for (let r: u32 = 0; r < rows; r++)
    store<f32>(factors + r * 4, 1 / softmax_row(scores + r * score_row, tokens));
  for (let d: u32 = 0; d < D; d += PANEL, values += <usize>tokens * 32) {
    add_up_tile(scores, score_row, rows, values, tokens, local, true);
    for (let r: u32 = 0; r < rows; r++) {
      const factor = v128.load32_splat(factors + r * 4);
      const sums = local + r * 32;
      const to = out + r * out_stride + <usize>d * 4;
      v128.store(to, f32x4.mul(v128.load(sums), factor));
      if (d + 4 < D) v128.store(to, f32x4.mul(v128.load(sums, 16), factor), 16);
    }
  }
}
