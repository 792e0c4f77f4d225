// A unit is a block of up to BLOCK_ROWS rows by BLOCK_COLUMNS columns of the product, the blocks of the same rows side
// by side. Rows that are read through a norm are normalised into scratch memory first; beside weights in I8, all rows
// are quantised there.
//
// A tile of a few rows by the 8 columns of a panel is added up in registers, along all of K. Up to FEW rows, as
// decoding has them, read weights as they are stored, and so does whoever reads I8; more rows share a panel that was
// widened to f32 in local memory.
import { activate } from "../shared/activation.as";
import { local, scratch } from "../shared/memory.as";
import { add_up_integers, INTEGER_TILE_ROWS, integer_row_bytes, integer_rows_bytes, quantize_row } from "../shared/integers.as";
import { norm_units, normalize_row, normalize_rows, NORM_ROWS } from "../shared/norm.as";
import { add_up_tile, TILE_BYTES, TILE_ROWS } from "../shared/tile.as";
import { I8, PANEL, panel_bytes, panel_in_f32, ROWS } from "../shared/weights.as";
import { add_up_few, FEW } from "../shared/few_rows.as";

const BLOCK_ROWS: u32 = 96;
const BLOCK_COLUMNS: u32 = 128;
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
  for (let unit = begin; unit < end; unit++) {
    const row = (unit / across) * rows;
    const column = (unit % across) * BLOCK_COLUMNS;
    const lastColumn = min(column + BLOCK_COLUMNS, N);
    block(
      x,
      weight,
      weight_format,
      K,
      row,
      min(row + rows, M),
      column,
      lastColumn,
      M <= FEW && weight_format != ROWS,
    );
  }
}

function block(
  x: usize,
  weight: usize,
  format: u32,
  K: u32,
  row: u32,
  lastRow: u32,
  column: u32,
  lastColumn: u32,
  isFew: bool,
): void {
  const size = panel_bytes(K, format);
  if (format == I8) {
    for (let n = column; n < lastColumn; n += PANEL)
      integer_tiles(x, weight + <usize>(n / PANEL) * size, K, row, lastRow, n);
    return;
  }
  const stride = <usize>K * 4;
  for (let n = column; n < lastColumn; n += PANEL) {
    const stored = weight + <usize>(n / PANEL) * size;
    if (isFew) {
      add_up_few(x + row * stride, stride, lastRow - row, stored, K, format);
      for (let m = row; m < lastRow; m++) store_sums(m, n, local + (m - row) * 32);
      continue;
    }
    const panel = panel_in_f32(stored, K, format, min(PANEL, lastColumn - n), local + TILE_BYTES);
    for (let m = row; m < lastRow; m += TILE_ROWS) {
      const height = min(TILE_ROWS, lastRow - m);
      add_up_tile(x + m * stride, stride, height, panel, K);
      for (let r: u32 = 0; r < height; r++) store_sums(m + r, n, local + r * 32);
    }
  }
}

function integer_tiles(x: usize, panel: usize, K: u32, row: u32, lastRow: u32, n: u32): void {
  const stride = integer_row_bytes(K);
  for (let m = row; m < lastRow; m += INTEGER_TILE_ROWS) {
    const height = min(INTEGER_TILE_ROWS, lastRow - m);
    add_up_integers(x + m * stride, stride, height, panel, K);
    for (let r: u32 = 0; r < height; r++) store_sums(m + r, n, local + r * 32);
  }
}

/** Finishes 8 sums of row m, from column n on, and stores those that are in the product. */
function store_sums(m: u32, n: u32, sums: usize): void {
  let low = v128.load(sums);
  let high = v128.load(sums, 16);
  if (sums_bias) {
    low = f32x4.add(low, v128.load(sums_bias + n * 4));
    high = f32x4.add(high, v128.load(sums_bias + n * 4, 16));
  }
  if (sums_activation) {
    low = activate(low, sums_activation);
    high = activate(high, sums_activation);
  }
  const column = first_column + n;
  const within = column % sums_columns;
  if (n + PANEL <= columns && within + PANEL <= sums_columns) {
    const at = ((column / sums_columns) * sums_rows + first_row + m) * sums_columns + within;
    if (sums_residual) {
      const other = sums_residual + <usize>(residual_is_plain ? m * columns + n : at) * 4;
      low = f32x4.add(low, v128.load(other));
      high = f32x4.add(high, v128.load(other, 16));
    }
    v128.store(sums_out + <usize>at * 4, low);
    v128.store(sums_out + <usize>at * 4, high, 16);
    return;
  }
  v128.store(sums, low);
  v128.store(sums, high, 16);
  for (let i: u32 = 0; i < min(PANEL, columns - n); i++) {
    const column = first_column + n + i;
    const at = ((column / sums_columns) * sums_rows + first_row + m) * sums_columns + (column % sums_columns);
    let sum = load<f32>(sums + i * 4);
    if (sums_residual)
      sum += load<f32>(sums_residual + <usize>(residual_is_plain ? m * columns + n + i : at) * 4);
    store<f32>(sums_out + <usize>at * 4, sum);
  }
}
