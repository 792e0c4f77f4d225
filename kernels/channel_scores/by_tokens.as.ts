// Scores by their definition: the queries and keys of a group, projected into local memory, and the sums of their
// products over the tokens there.
import { local } from "../shared/memory.as";
import { add_bias, add_up_rows, SUMS_BYTES } from "../shared/tile.as";
import { panel_bytes, panel_in_f32, PANEL } from "../shared/weights.as";

/** Tokens whose queries and keys are in local memory at a time. */
const TOKENS: u32 = 576;

/** Writes the scores of a group, (D, D), over `tokens` tokens. */
export function scores_by_tokens(
  x: usize,
  tokens: u32,
  weight: usize,
  bias: usize,
  weight_format: u32,
  group: u32,
  D: u32,
  C: u32,
  out: usize,
): void {
  // Queries by channel, a row of tokens each; keys in panels of 8 channels; a panel of weights in f32.
  const queries = local + TOKENS * SUMS_BYTES;
  const keys = queries + <usize>(D * TOKENS) * 4;
  const widened = keys + <usize>(whole_panels(D) * TOKENS) * 4;
  memory.fill(out, 0, <usize>(D * D) * 4);
  for (let t: u32 = 0; t < tokens; t += TOKENS) {
    const count = min(TOKENS, tokens - t);
    const rows = x + <usize>t * <usize>C * 4;
    project(rows, count, weight, bias, group * D, D, C, weight_format, queries, widened, true);
    project(rows, count, weight, bias, C + group * D, D, C, weight_format, keys, widened, false);
    add_products(queries, keys, count, D, out);
  }
}

// @ts-ignore: decorator
@inline
function whole_panels(rows: u32): u32 {
  return ((rows + PANEL - 1) / PANEL) * PANEL;
}

/** Projects `count` tokens by the D rows of the weight from row `first` on, to queries or to keys. */
function project(
  x: usize,
  count: u32,
  weight: usize,
  bias: usize,
  first: u32,
  D: u32,
  C: u32,
  weight_format: u32,
  to: usize,
  widened: usize,
  isQuery: bool,
): void {
  const stride = <usize>C * 4;
  const size = panel_bytes(C, weight_format);
  // Panels may begin before the group, and end behind it.
  for (let row = first - (first % PANEL); row < first + D; row += PANEL) {
    const panel = panel_in_f32(weight + <usize>(row / PANEL) * size, C, weight_format, PANEL, widened);
    add_up_rows(x, stride, count, panel, C, local, true);
    add_bias(local, count, bias + <usize>row * 4);
    if (!isQuery && row >= first && (row - first) % PANEL == 0 && row + PANEL <= first + D) {
      memory.copy(to + <usize>(row - first) * count * 4, local, count * SUMS_BYTES);
      continue;
    }
    for (let token: u32 = 0; token < count; token++) {
      const sums = local + token * SUMS_BYTES;
      for (let i: u32 = max(row, first); i < min(row + PANEL, first + D); i++) {
        const d = i - first;
        const at = isQuery ? d * count + token : (d - (d % PANEL)) * count + token * PANEL + (d % PANEL);
        store<f32>(to + <usize>at * 4, load<f32>(sums + (i - row) * 4));
      }
    }
  }
}

/** Adds the products of queries and keys, (D, D), over some tokens. */
function add_products(queries: usize, keys: usize, count: u32, D: u32, out: usize): void {
  const stride = <usize>count * 4;
  for (let d: u32 = 0; d < D; d += PANEL, keys += <usize>count * 32) {
    add_up_rows(queries, stride, D, keys, count, local, true);
    let sums = local;
    for (let c: u32 = 0; c < D; c++, sums += SUMS_BYTES) {
      const to = out + <usize>(c * D + d) * 4;
      v128.store(to, f32x4.add(v128.load(to), v128.load(sums)));
      // D is a multiple of four.
      if (d + 4 < D) v128.store(to, f32x4.add(v128.load(to, 16), v128.load(sums, 16)), 16);
    }
  }
}
