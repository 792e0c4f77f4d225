// Attention of many queries: keys and values of a head in panels of 8 columns, as products of matrices read them.
import { local } from "./memory.as";
import { powers_of_row } from "./softmax.as";
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

/** By this much keys are longer in their panels, so that scores are exponents of two: log2(e) / √D. */
export function key_scale(D: u32): f32 {
  return <f32>(1.4426950408889634 / Math.sqrt(<f64>D));
}

/**
 * Puts the keys of tokens m to m + 3, D values each and a multiple of four, into the panels of their head. Behind the
 * last token may be anything: its scores are not looked at.
 *
 * @param m a multiple of four
 */
export function pack_keys(
  key0: usize,
  key1: usize,
  key2: usize,
  key3: usize,
  m: u32,
  D: u32,
  scale: f32,
  panels: usize,
): void {
  const scales = f32x4.splat(scale);
  let to = panels + <usize>(m / PANEL) * <usize>D * 32 + (m % PANEL) * 4;
  for (let d: usize = 0; d < <usize>D * 4; d += 16, to += 128) {
    const a = f32x4.mul(v128.load(key0 + d), scales);
    const b = f32x4.mul(v128.load(key1 + d), scales);
    const c = f32x4.mul(v128.load(key2 + d), scales);
    const e = f32x4.mul(v128.load(key3 + d), scales);
    const ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
    const ce = i32x4.shuffle(c, e, 0, 4, 1, 5);
    v128.store(to, i64x2.shuffle(ab, ce, 0, 2));
    v128.store(to, i64x2.shuffle(ab, ce, 1, 3), 32);
    const ab_rest = i32x4.shuffle(a, b, 2, 6, 3, 7);
    const ce_rest = i32x4.shuffle(c, e, 2, 6, 3, 7);
    v128.store(to, i64x2.shuffle(ab_rest, ce_rest, 0, 2), 64);
    v128.store(to, i64x2.shuffle(ab_rest, ce_rest, 1, 3), 96);
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
  return local + TILE_ROWS * SUMS_BYTES + 32 + 2 * <usize>TILE_ROWS * score_bytes(tokens);
}

/** Of a query. */
// @ts-ignore: decorator
@inline
function score_bytes(tokens: u32): usize {
  return <usize>((tokens + PANEL - 1) / PANEL) * 32;
}

/**
 * softmax(QKᵀ / √D) V of `rows` queries, at most TILE_ROWS. Scores stay as tiles leave them, a panel of keys after the
 * other; their powers are in rows, as the next product reads them.
 *
 * @param queries the first query of the head; the others follow `stride` bytes apart
 * @param keys panels of keys, times `key_scale`
 * @param out the same as the queries, `out_stride` bytes apart
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
  const factors = local + TILE_ROWS * SUMS_BYTES;
  const powers = factors + 32;
  const row_bytes = score_bytes(tokens);
  const scores = powers + TILE_ROWS * row_bytes;
  const tile = <usize>rows * SUMS_BYTES;
  let sums = scores;
  for (let n: u32 = 0; n < tokens; n += PANEL, keys += <usize>D * 32, sums += tile)
    add_up_tile(queries, stride, rows, keys, D, sums, true);
  for (let r: u32 = 0; r < rows; r++) {
    const sum = powers_of_row(scores + r * SUMS_BYTES, tile, tokens, powers + r * row_bytes);
    store<f32>(factors + r * 4, 1 / sum);
  }
  for (let d: u32 = 0; d < D; d += PANEL, values += <usize>tokens * 32) {
    add_up_tile(powers, row_bytes, rows, values, tokens, local, true);
    for (let r: u32 = 0; r < rows; r++) {
      const factor = v128.load32_splat(factors + r * 4);
      const sums = local + r * 32;
      const to = out + r * out_stride + <usize>d * 4;
      v128.store(to, f32x4.mul(v128.load(sums), factor));
      if (d + 4 < D) v128.store(to, f32x4.mul(v128.load(sums, 16), factor), 16);
    }
  }
}
