// The first pass projects the queries, some panels of 8 columns a unit. Then a unit is a head of an image, with all of its
// rows, so that keys and values stay in the cache from one row to the next.
import { add_up_few, FEW, prepare_few } from "../shared/few_rows.as";
import { local, scratch } from "../shared/memory.as";
import { normalize_row } from "../shared/norm.as";
import { dot, normalize_scores, score_at } from "../shared/query_attention.as";
import { SUMS_BYTES } from "../shared/tile.as";
import { madd } from "../shared/vector.as";
import { panel_bytes, PANEL } from "../shared/weights.as";

/** Panels of a unit of the first pass: as many as `add_up_few` reads at once. */
const PANELS: u32 = 4;

export function cross_attention_scratch(
  query_weight_format: u32,
  rows: u32,
  rows_per_image: u32,
  source: u32,
  D: u32,
  H: u32,
): u32 {
  return rows * columns_of(D, H) * 4;
}

/** Columns of the queries, in whole panels. */
// @ts-ignore: decorator
@inline
function columns_of(D: u32, H: u32): u32 {
  return ((D * H + PANEL - 1) / PANEL) * PANEL;
}

export function cross_attention_first_units(
  query_weight_format: u32,
  rows: u32,
  rows_per_image: u32,
  source: u32,
  D: u32,
  H: u32,
): u32 {
  return (columns_of(D, H) / PANEL + PANELS - 1) / PANELS;
}

export function cross_attention_first(
  normed: usize,
  norm_weight: usize,
  norm_bias: usize,
  query_weight: usize,
  query_bias: usize,
  keys_values: usize,
  lengths: usize,
  out: usize,
  query_weight_format: u32,
  rows: u32,
  rows_per_image: u32,
  source: u32,
  D: u32,
  H: u32,
  begin: u32,
  end: u32,
): void {
  const d = D * H;
  const stride = <usize>d * 4;
  const columns = columns_of(D, H);
  const size = panel_bytes(d, query_weight_format);
  const x = local + FEW * PANELS * SUMS_BYTES;
  for (let row: u32 = 0; row < rows; row += FEW) {
    const height = min(FEW, rows - row);
    for (let r: u32 = 0; r < height; r++)
      normalize_row(normed + <usize>(row + r) * stride, norm_weight, norm_bias, d, x + r * stride);
    prepare_few(x, height * d, query_weight_format, x);
    for (let panel = begin * PANELS, last = min(end * PANELS, columns / PANEL); panel < last; panel += PANELS) {
      const count = min(PANELS, last - panel);
      add_up_few(x, stride, height, query_weight + <usize>panel * size, count, d, query_weight_format, local);
      let sums = local;
      for (let column = panel * PANEL; column < (panel + count) * PANEL; column += PANEL) {
        const bias = query_bias + <usize>column * 4;
        for (let r: u32 = 0; r < height; r++, sums += SUMS_BYTES) {
          const to = scratch + <usize>((row + r) * columns + column) * 4;
          v128.store(to, f32x4.add(v128.load(sums), v128.load(bias)));
          v128.store(to, f32x4.add(v128.load(sums, 16), v128.load(bias, 16)), 16);
        }
      }
    }
  }
}

export function cross_attention_units(
  query_weight_format: u32,
  rows: u32,
  rows_per_image: u32,
  source: u32,
  D: u32,
  H: u32,
): u32 {
  return (rows / rows_per_image) * H;
}

export function cross_attention(
  normed: usize,
  norm_weight: usize,
  norm_bias: usize,
  query_weight: usize,
  query_bias: usize,
  keys_values: usize,
  lengths: usize,
  out: usize,
  query_weight_format: u32,
  rows: u32,
  rows_per_image: u32,
  source: u32,
  D: u32,
  H: u32,
  begin: u32,
  end: u32,
): void {
  const d = <usize>(D * H) * 4;
  const scale = <f32>(1 / Math.sqrt(<f64>D));
  const query_stride = <usize>columns_of(D, H) * 4;
  for (let unit = begin; unit < end; unit++) {
    const image = unit / H;
    const column = <usize>((unit % H) * D) * 4;
    const length = load<u32>(lengths + <usize>image * 4);
    const keys = keys_values + <usize>(image * source) * 2 * d + column;
    for (let r = image * rows_per_image; r < (image + 1) * rows_per_image; r++) {
      const query = scratch + <usize>r * query_stride + column;
      for (let s: u32 = 0; s < length; s++)
        store<f32>(score_at(s), dot(query, keys + <usize>s * 2 * d, D) * scale);
      normalize_scores(length);
      weigh_values(keys + d, 2 * d, length, D, out + <usize>r * d + column);
    }
  }
}

/** The mean of some values of D channels, `stride` bytes apart, by their weights. */
function weigh_values(values: usize, stride: usize, count: u32, D: u32, out: usize): void {
  let c: usize = 0;
  for (const fours = <usize>(D / 16) * 64; c < fours; c += 64) {
    let a = f32x4.splat(0);
    let b = a;
    let e = a;
    let f = a;
    let value = values + c;
    for (let s: u32 = 0; s < count; s++, value += stride) {
      const weight = v128.load32_splat(score_at(s));
      a = madd(weight, v128.load(value), a);
      b = madd(weight, v128.load(value, 16), b);
      e = madd(weight, v128.load(value, 32), e);
      f = madd(weight, v128.load(value, 48), f);
    }
    v128.store(out + c, a);
    v128.store(out + c, b, 16);
    v128.store(out + c, e, 32);
    v128.store(out + c, f, 48);
  }
  for (; c < <usize>D * 4; c += 16) {
    let a = f32x4.splat(0);
    let value = values + c;
    for (let s: u32 = 0; s < count; s++, value += stride)
      a = madd(v128.load32_splat(score_at(s)), v128.load(value), a);
    v128.store(out + c, a);
  }
}
