// A unit is a block of up to BLOCK_ROWS rows by BLOCK_COLUMNS columns of the product, the blocks of the same rows side
// by side. Rows that are read through a norm are normalised into scratch memory first; beside weights in I8, all rows
// are quantised there.
//
// The sums of a block grow part by part of K, so that a part of a panel stays in the nearest cache from the first of
// the rows to the last. Up to FEW rows, as decoding has them, read weights as they are stored, along all of K, and so
// does whoever reads I8; more rows share a part that was widened to f32 in local memory.
import { activate } from "../shared/activation.as";
import { local, scratch } from "../shared/memory.as";
import { add_up_integers, integer_row_bytes, integer_rows_bytes, quantize_row } from "../shared/integers.as";
import { norm_units, normalize_row, normalize_rows, NORM_ROWS } from "../shared/norm.as";
import { add_bias, add_up_rows, SUMS_BYTES } from "../shared/tile.as";
import { I8, PANEL, panel_bytes, part_in_f32, ROWS } from "../shared/weights.as";
import { add_up_few, FEW, prepare_few } from "../shared/few_rows.as";

const BLOCK_ROWS: u32 = 96;
const BLOCK_COLUMNS: u32 = 128;
/** Of K: 16 KiB of a panel. */
const PART: u32 = 512;
/** Of the sums of a block in local memory. */
const BLOCK_BYTES: usize = <usize>(BLOCK_ROWS * BLOCK_COLUMNS) * 4;
/** Values of NORM, as in matmul.twin.ts. */
const OF_X: u32 = 1;
const OF_RESIDUAL: u32 = 2;

/* What the store of a tile reads: set at the start of each part. */
let sums_bias: usize = 0;
let sums_residual: usize = 0;
let sums_out: usize = 0;
let sums_activation: u32 = 0;
let columns: u32 = 0;
let sums_rows: u32 = 0;
let sums_columns: u32 = 0;
let first_row: u32 = 0;
let first_column: u32 = 0;
/** Whether the residual's rows are N long and begin with row 0: normalised ones. */
let residual_is_plain: bool = false;

export function matmul_scratch(
  weight_format: u32,
  M: u32,
  N: u32,
  K: u32,
  out_rows: u32,
  out_columns: u32,
  out_row: u32,
  out_column: u32,
  HAS_BIAS: u32,
  HAS_RESIDUAL: u32,
  ACTIVATION: u32,
  NORM: u32,
): u32 {
  const normed: u32 = NORM == OF_RESIDUAL ? 4 * M * N : 0;
  if (weight_format == I8) return normed + <u32>integer_rows_bytes(M, K);
  return NORM == OF_X ? 4 * M * K : normed;
}

export function matmul_first_units(
  weight_format: u32,
  M: u32,
  N: u32,
  K: u32,
  out_rows: u32,
  out_columns: u32,
  out_row: u32,
  out_column: u32,
  HAS_BIAS: u32,
  HAS_RESIDUAL: u32,
  ACTIVATION: u32,
  NORM: u32,
): u32 {
  return NORM == 0 && weight_format != I8 ? 0 : norm_units(M);
}

export function matmul_first(
  x: usize,
  weight: usize,
  bias: usize,
  residual: usize,
  normed: usize,
  norm_weight: usize,
  norm_bias: usize,
  out: usize,
  weight_format: u32,
  M: u32,
  N: u32,
  K: u32,
  out_rows: u32,
  out_columns: u32,
  out_row: u32,
  out_column: u32,
  HAS_BIAS: u32,
  HAS_RESIDUAL: u32,
  ACTIVATION: u32,
  NORM: u32,
  begin: u32,
  end: u32,
): void {
  if (weight_format == I8) {
    const last = min(end * NORM_ROWS, M);
    for (let m = begin * NORM_ROWS; m < last; m++) {
      let row = x + <usize>m * K * 4;
      if (NORM == OF_X) {
        normalize_row(normed + <usize>m * K * 4, norm_weight, norm_bias, K, local);
        row = local;
      }
      quantize_row(row, K, integer_rows(M, N, NORM) + m * integer_row_bytes(K));
    }
    if (NORM != OF_RESIDUAL) return;
  }
  const C = NORM == OF_X ? K : N;
  normalize_rows(normed, norm_weight, norm_bias, M, C, scratch, begin, end);
}

/** Where quantised rows begin: behind the normalised residual. */
function integer_rows(M: u32, N: u32, NORM: u32): usize {
  return scratch + (NORM == OF_RESIDUAL ? <usize>M * N * 4 : 0);
}

/** Rows of a block: whole tiles, all blocks nearly alike. */
function rows_of_block(M: u32): u32 {
  const blocks = (M + BLOCK_ROWS - 1) / BLOCK_ROWS;
  const rows = (M + blocks - 1) / blocks;
  return ((rows + 11) / 12) * 12;
}

export function matmul_units(
  weight_format: u32,
  M: u32,
  N: u32,
  K: u32,
  out_rows: u32,
  out_columns: u32,
  out_row: u32,
  out_column: u32,
  HAS_BIAS: u32,
  HAS_RESIDUAL: u32,
  ACTIVATION: u32,
  NORM: u32,
): u32 {
  const rows = rows_of_block(M);
  return ((M + rows - 1) / rows) * ((N + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS);
}

export function matmul(
  x: usize,
  weight: usize,
  bias: usize,
  residual: usize,
  normed: usize,
  norm_weight: usize,
  norm_bias: usize,
  out: usize,
  weight_format: u32,
  M: u32,
  N: u32,
  K: u32,
  out_rows: u32,
  out_columns: u32,
  out_row: u32,
  out_column: u32,
  HAS_BIAS: u32,
  HAS_RESIDUAL: u32,
  ACTIVATION: u32,
  NORM: u32,
  begin: u32,
  end: u32,
): void {
  if (weight_format == I8) x = integer_rows(M, N, NORM);
  else if (NORM == OF_X) x = scratch;
  sums_bias = HAS_BIAS ? bias : 0;
  sums_residual = NORM == OF_RESIDUAL ? scratch : HAS_RESIDUAL ? residual : 0;
  residual_is_plain = NORM == OF_RESIDUAL;
  sums_out = out;
  sums_activation = ACTIVATION;
  columns = N;
  sums_rows = out_rows;
  sums_columns = out_columns;
  first_row = out_row;
  first_column = out_column;
  const rows = rows_of_block(M);
  const across = (N + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
  const isWhole = weight_format == I8 || (M <= FEW && weight_format != ROWS);
  for (let unit = begin; unit < end; unit++) {
    const row = (unit / across) * rows;
    const column = (unit % across) * BLOCK_COLUMNS;
    const height = min(rows, M - row);
    const last_column = min(column + BLOCK_COLUMNS, N);
    if (isWhole) whole_sums(x, weight, weight_format, K, row, height, column, last_column);
    else sums_by_parts(x, weight, weight_format, K, row, height, column, last_column);
    store_block(row, height, column, last_column);
  }
}

/** A block, its panels along all of K. */
function whole_sums(
  x: usize,
  weight: usize,
  format: u32,
  K: u32,
  row: u32,
  rows: u32,
  column: u32,
  last_column: u32,
): void {
  const stride = format == I8 ? integer_row_bytes(K) : <usize>K * 4;
  const panel = weight + <usize>(column / PANEL) * panel_bytes(K, format);
  const panels = (last_column - column + PANEL - 1) / PANEL;
  x += row * stride;
  if (format == I8) add_up_integers(x, stride, rows, panel, panels, K, local);
  else {
    x = prepare_few(x, rows * K, format, local + BLOCK_BYTES);
    add_up_few(x, stride, rows, panel, panels, K, format, local);
  }
  let sums = local;
  for (let n = column; n < last_column; n += PANEL, sums += rows * SUMS_BYTES) finish_sums(sums, rows, n);
}

/** A block, a part of K after the other. */
function sums_by_parts(
  x: usize,
  weight: usize,
  format: u32,
  K: u32,
  row: u32,
  rows: u32,
  column: u32,
  last_column: u32,
): void {
  const size = panel_bytes(K, format);
  const stride = <usize>K * 4;
  const widened = local + BLOCK_BYTES;
  for (let k: u32 = 0; k < K; k += PART) {
    const count = min(PART, K - k);
    let sums = local;
    for (let n = column; n < last_column; n += PANEL, sums += rows * SUMS_BYTES) {
      const panel = weight + <usize>(n / PANEL) * size;
      const part = part_in_f32(panel, K, format, min(PANEL, last_column - n), k, count, widened);
      add_up_rows(x + row * stride + k * 4, stride, rows, part, count, sums, k == 0);
      if (k + count == K) finish_sums(sums, rows, n);
    }
  }
}

/** Biases and activation of the sums of some rows and of 8 columns, from column n on. */
function finish_sums(sums: usize, rows: u32, n: u32): void {
  if (sums_bias) add_bias(sums, rows, sums_bias + n * 4);
  if (sums_activation) activate(sums, sums + rows * SUMS_BYTES, sums_activation);
}

/**
 * Stores the sums of a block, which stand panel by panel in local memory, row by row: stores down a column would meet in
 * few places of the nearest cache.
 */
function store_block(row: u32, rows: u32, column: u32, last_column: u32): void {
  const count = last_column - column;
  const within = (first_column + column) % sums_columns;
  const is_whole = count % PANEL == 0 && within + count <= sums_columns;
  for (let m: u32 = 0; m < rows; m++) {
    const sums = local + m * SUMS_BYTES;
    if (is_whole) store_row(sums, rows * SUMS_BYTES, row + m, column, count);
    else {
      for (let n: u32 = 0; n < count; n += PANEL)
        store_ragged(sums + (n / PANEL) * rows * SUMS_BYTES, row + m, column + n);
    }
  }
}

/** Where the product has row m and column n, in values. */
// @ts-expect-error: decorator
@inline
function place_of(m: u32, n: u32): u32 {
  const column = first_column + n;
  return ((column / sums_columns) * sums_rows + first_row + m) * sums_columns + (column % sums_columns);
}

/** Where the residual of row m and column n is. */
// @ts-expect-error: decorator
@inline
function residual_of(m: u32, n: u32): usize {
  return sums_residual + <usize>(residual_is_plain ? m * columns + n : place_of(m, n)) * 4;
}

/** Stores `count` sums of row m, from column n on, which stand side by side in the product: 8 every `stride` bytes. */
function store_row(sums: usize, stride: usize, m: u32, n: u32, count: u32): void {
  let to = sums_out + <usize>place_of(m, n) * 4;
  const end = to + <usize>count * 4;
  if (!sums_residual) {
    for (; to < end; sums += stride, to += 32) {
      v128.store(to, v128.load(sums));
      v128.store(to, v128.load(sums, 16), 16);
    }
    return;
  }
  let residual = residual_of(m, n);
  for (; to < end; sums += stride, to += 32, residual += 32) {
    v128.store(to, f32x4.add(v128.load(sums), v128.load(residual)));
    v128.store(to, f32x4.add(v128.load(sums, 16), v128.load(residual, 16)), 16);
  }
}

/** Stores up to 8 sums of row m one by one. */
function store_ragged(sums: usize, m: u32, n: u32): void {
  for (const last = min(n + PANEL, columns); n < last; n++, sums += 4) {
    let sum = load<f32>(sums);
    if (sums_residual) sum += load<f32>(residual_of(m, n));
    store<f32>(sums_out + <usize>place_of(m, n) * 4, sum);
  }
}
