// Scores by the Gram matrix of the tokens, less a center c that is about their mean. With Y of rows x - c, s the sum of
// these and q = Wq x + bq, the sum of q kᵀ over n tokens is
//
//   Wq (YᵀY - s sᵀ / n) Wkᵀ + n q̄ k̄ᵀ,  q̄ = Wq (c + s / n) + bq
//
// The means q̄ and k̄ of queries and keys are made in f64. An error of theirs would count n times, while those of single
// queries and keys are as often up as down. The center keeps the rest small.
//
// Tokens stand in panels of 8 channels: for each token 8 values, the tokens of a chunk one after the other. The matrix
// is (C + 3, C) row by row; the last rows are s, c, and the diagonal, which is 0 in its place. The diagonal is much larger
// than the rest: what is added to it loses digits, so it comes last.
import { local } from "../shared/memory.as";
import { normalize_row, NORM_ROWS } from "../shared/norm.as";
import { add_up_rows, SUMS_BYTES } from "../shared/tile.as";
import { madd } from "../shared/vector.as";
import { panel_bytes, panel_in_f32, PANEL } from "../shared/weights.as";

/** Rows of a block of the matrix. */
const BLOCK: u32 = 16;
/** Tokens, and channels, whose products are added up by themselves, so that sums stay exact. */
const PART: u32 = 128;
const CHANNELS: u32 = 32;

/** Tokens whose mean is the center. */
const SAMPLES: u32 = 16;

export function gram_bytes(C: u32): usize {
  return <usize>(C + 3) * <usize>C * 4;
}

export function gram_blocks(C: u32): u32 {
  return (C + BLOCK - 1) / BLOCK;
}

/** The mean of a few tokens that are spread over all, normalised: every thread makes it by itself. */
export function center_of(
  normed: usize,
  weight: usize,
  bias: usize,
  tokens: u32,
  C: u32,
  row: usize,
  center: usize,
): void {
  const row_bytes = <usize>C * 4;
  const share = f32x4.splat(1 / <f32>SAMPLES);
  memory.fill(center, 0, row_bytes);
  for (let i: u32 = 0; i < SAMPLES; i++) {
    normalize_row(normed + ((i * tokens) / SAMPLES) * row_bytes, weight, bias, C, row);
    for (let c: usize = 0; c < row_bytes; c += 16)
      v128.store(center + c, madd(v128.load(row + c), share, v128.load(center + c)));
  }
}

/** Normalises the tokens of units `begin` to `end`, NORM_ROWS each, into the panels of their chunks, less the center. */
export function normalize_into_panels(
  normed: usize,
  weight: usize,
  bias: usize,
  center: usize,
  tokens: u32,
  chunk: u32,
  C: u32,
  out: usize,
  begin: u32,
  end: u32,
): void {
  const row_bytes = <usize>C * 4;
  for (let token = begin * NORM_ROWS; token < min(end * NORM_ROWS, tokens); ) {
    // Together those that stand side by side in a panel.
    const first = token - (token % chunk);
    const size = min(chunk, tokens - first);
    const last = min(min(token + NORM_ROWS, end * NORM_ROWS), first + size);
    for (let t = token; t < last; t++)
      normalize_row(normed + t * row_bytes, weight, bias, C, local + (t - token) * row_bytes);
    for (let c: u32 = 0; c < C; c += PANEL) {
      let to = out + first * row_bytes + (<usize>c * size + (token - first) * PANEL) * 4;
      let from = local + c * 4;
      const low = v128.load(center + c * 4);
      const high = v128.load(center + c * 4, 16);
      for (let t = token; t < last; t++, from += row_bytes, to += 32) {
        v128.store(to, f32x4.sub(v128.load(from), low));
        v128.store(to, f32x4.sub(v128.load(from, 16), high), 16);
      }
    }
    token = last;
  }
}

/** Writes the rows of a block of the matrix of `tokens` tokens up to its diagonal, and the same columns. */
export function gram_rows(x: usize, tokens: u32, C: u32, block: u32, gram: usize): void {
  const first = block * BLOCK;
  const rows = min(BLOCK, C - first);
  const panel = <usize>tokens * 32;
  const own = x + (first / PANEL) * panel;
  const sums = local + BLOCK * SUMS_BYTES;
  const block_bytes = rows * SUMS_BYTES;
  const columns = first + rows;
  memory.fill(sums, 0, (columns / PANEL) * block_bytes);
  memory.fill(gram + <usize>(C * C + first) * 4, 0, rows * 4);
  for (let t: u32 = 0; t < tokens; t += PART) {
    const count = min(PART, tokens - t);
    const part = <usize>t * 32;
    for (let row: u32 = 0; row < rows; row += PANEL)
      add_up_tokens(own + (row / PANEL) * panel + part, count, gram + <usize>(C * C + first + row) * 4);
    let to = sums;
    for (let column: u32 = 0; column < columns; column += PANEL, to += block_bytes) {
      const other = x + (column / PANEL) * panel + part;
      for (let row: u32 = 0; row < rows; row += 4) {
        const channels = own + (row / PANEL) * panel + part + (row % PANEL) * 4;
        four_rows(channels, other, count, local + row * SUMS_BYTES);
      }
      for (let at: usize = 0; at < block_bytes; at += 16)
        v128.store(to + at, f32x4.add(v128.load(to + at), v128.load(local + at)));
    }
  }
  let from = sums;
  for (let column: u32 = 0; column < columns; column += PANEL) {
    for (let row = first; row < first + rows; row++, from += SUMS_BYTES) {
      const to = gram + <usize>(row * C + column) * 4;
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
      if (row - column < PANEL) {
        const diagonal = to + (row - column) * 4;
        store<f32>(gram + <usize>((C + 2) * C + row) * 4, load<f32>(diagonal));
        store<f32>(diagonal, 0);
      }
      if (column >= first) continue;
      for (let i: u32 = 0; i < PANEL; i++)
        store<f32>(gram + <usize>((column + i) * C + row) * 4, load<f32>(from + i * 4));
    }
  }
}

/** Adds a part of a panel, token by token, to 8 sums. */
function add_up_tokens(panel: usize, count: u32, sums: usize): void {
  let low = f32x4.splat(0);
  let high = low;
  for (const end = panel + <usize>count * 32; panel < end; panel += 32) {
    low = f32x4.add(low, v128.load(panel));
    high = f32x4.add(high, v128.load(panel, 16));
  }
  v128.store(sums, f32x4.add(v128.load(sums), low));
  v128.store(sums, f32x4.add(v128.load(sums, 16), high), 16);
}

/** The products of four channels of a panel with the 8 of another one, added up over `count` tokens. */
function four_rows(channels: usize, panel: usize, count: u32, sums: usize): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  for (const end = panel + <usize>count * 32; panel < end; panel += 32, channels += 32) {
    const low = v128.load(panel);
    const high = v128.load(panel, 16);
    let factor = v128.load32_splat(channels);
    s00 = madd(factor, low, s00);
    s01 = madd(factor, high, s01);
    factor = v128.load32_splat(channels, 4);
    s10 = madd(factor, low, s10);
    s11 = madd(factor, high, s11);
    factor = v128.load32_splat(channels, 8);
    s20 = madd(factor, low, s20);
    s21 = madd(factor, high, s21);
    factor = v128.load32_splat(channels, 12);
    s30 = madd(factor, low, s30);
    s31 = madd(factor, high, s31);
  }
  v128.store(sums, s00);
  v128.store(sums, s01, 16);
  v128.store(sums, s10, 32);
  v128.store(sums, s11, 48);
  v128.store(sums, s20, 64);
  v128.store(sums, s21, 80);
  v128.store(sums, s30, 96);
  v128.store(sums, s31, 112);
}

/** Writes the scores of a group, (D, D), of `tokens` tokens, from their matrix. */
export function scores_by_gram(
  gram: usize,
  tokens: u32,
  weight: usize,
  bias: usize,
  weight_format: u32,
  group: u32,
  D: u32,
  C: u32,
  out: usize,
): void {
  const size = panel_bytes(C, weight_format);
  const row_bytes = <usize>C * 4;
  const s = gram + C * row_bytes;
  // The mean token, and the means of 8 columns and of the queries, in f64.
  const mean = local + 2 * (C + 1) * SUMS_BYTES;
  const column_means = mean + 2 * row_bytes;
  const query_means = column_means + PANEL * 8;
  const mixed = query_means + D * 8;
  const widened = mixed + D * row_bytes;
  for (let at: usize = 0; at < row_bytes; at += 4) {
    const shift = <f64>load<f32>(s + at) / <f64>tokens;
    store<f64>(mean + 2 * at, <f64>load<f32>(s + row_bytes + at) + shift);
  }
  const first = group * D;
  // Panels may begin before the group, and end behind it.
  for (let row = first - (first % PANEL); row < first + D; row += PANEL) {
    const panel = panel_in_f32(weight + (row / PANEL) * size, C, weight_format, PANEL, widened);
    add_up_parts(gram, row_bytes, C + 1, panel, C);
    project_mean(mean, panel, bias + row * 4, C, column_means);
    for (let i = max(row, first); i < min(row + PANEL, first + D); i++) {
      const to = mixed + (i - first) * row_bytes;
      let sums = local + (i - row) * 4;
      const shift = load<f32>(sums + C * SUMS_BYTES) / <f32>tokens;
      let factor = panel + (i - row) * 4;
      for (let at: usize = 0; at < row_bytes; at += 4, sums += SUMS_BYTES, factor += 32) {
        const own = load<f32>(factor) * load<f32>(s + 2 * row_bytes + at);
        store<f32>(to + at, load<f32>(sums) - shift * load<f32>(s + at) + own);
      }
      store<f64>(query_means + (i - first) * 8, load<f64>(column_means + (i - row) * 8));
    }
  }
  const first_key = C + first;
  for (let row = first_key - (first_key % PANEL); row < first_key + D; row += PANEL) {
    const panel = panel_in_f32(weight + (row / PANEL) * size, C, weight_format, PANEL, widened);
    add_up_parts(mixed, row_bytes, D, panel, C);
    project_mean(mean, panel, bias + row * 4, C, column_means);
    for (let i = max(row, first_key); i < min(row + PANEL, first_key + D); i++) {
      let sums = local + (i - row) * 4;
      const key_mean = <f64>tokens * load<f64>(column_means + (i - row) * 8);
      for (let d: u32 = 0; d < D; d++, sums += SUMS_BYTES) {
        const score = <f64>load<f32>(sums) + load<f64>(query_means + d * 8) * key_mean;
        store<f32>(out + <usize>(d * D + i - first_key) * 4, <f32>score);
      }
    }
  }
}

/** The products of rows of C values with a panel, in local memory; behind them, those of a part. */
function add_up_parts(x: usize, stride: usize, rows: u32, panel: usize, C: u32): void {
  const end = local + rows * SUMS_BYTES;
  add_up_rows(x, stride, rows, panel, min(CHANNELS, C), local, true);
  for (let c = CHANNELS; c < C; c += CHANNELS) {
    add_up_rows(x + c * 4, stride, rows, panel + c * 32, min(CHANNELS, C - c), end, true);
    for (let to = local, from = end; to < end; to += 16, from += 16)
      v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
  }
}

/** The product of a row of f64 with a panel, and the bias of its 8 columns, in f64. */
function project_mean(mean: usize, panel: usize, bias: usize, C: u32, to: usize): void {
  let s0 = f64x2.promote_low_f32x4(v128.load64_zero(bias));
  let s1 = f64x2.promote_low_f32x4(v128.load64_zero(bias, 8));
  let s2 = f64x2.promote_low_f32x4(v128.load64_zero(bias, 16));
  let s3 = f64x2.promote_low_f32x4(v128.load64_zero(bias, 24));
  for (const end = panel + <usize>C * 32; panel < end; panel += 32, mean += 8) {
    const factor = v128.load64_splat(mean);
    s0 = f64x2.add(s0, f64x2.mul(factor, f64x2.promote_low_f32x4(v128.load64_zero(panel))));
    s1 = f64x2.add(s1, f64x2.mul(factor, f64x2.promote_low_f32x4(v128.load64_zero(panel, 8))));
    s2 = f64x2.add(s2, f64x2.mul(factor, f64x2.promote_low_f32x4(v128.load64_zero(panel, 16))));
    s3 = f64x2.add(s3, f64x2.mul(factor, f64x2.promote_low_f32x4(v128.load64_zero(panel, 24))));
  }
  v128.store(to, s0);
  v128.store(to, s1, 16);
  v128.store(to, s2, 32);
  v128.store(to, s3, 48);
}
