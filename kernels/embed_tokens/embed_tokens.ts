import { Florence2Error } from "../../core/errors.ts";
import { ceilDiv, defineKernel, linearGroups, read, readU32, update } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { weights } from "../shared/weights.ts";
import { embedTokensTwin } from "./embed_tokens.twin.ts";

export const signature = {
  name: "embed_tokens",
  bindings: { ids: readU32, table: weights, positions: read, position: readU32, out: update },
  params: {
    count: "u32",
    d: "u32",
    band_start: "u32",
    band_rows: "u32",
    first_position: "u32",
    advance: "u32",
    out_row: "u32",
  },
  constants: {},
} as const;

export const embedTokensKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/embed_tokens/embed_tokens.wgsl"),
      includes: [wgsl("kernels/shared/grid.wgsl")],
      groups: ({ count, d }) => linearGroups(ceilDiv(count * d, 4 * 64)),
    },
  ],
  twin: embedTokensTwin,
});

interface EmbedOptions {
  /** Row of `positions` for the first token at step 0. */
  readonly firstPosition: number;
  /** 1 if each token is one place further (a prompt), 0 if all have the same place (rows of one step). */
  readonly advance: 0 | 1;
  /** (rows, d), written from row `outRow` on and otherwise left alone. Default: a new (n, d). */
  readonly out?: Tensor;
  readonly outRow?: number;
}

/**
 * out[outRow + i] = table[ids[i]] + positions[firstPosition + position[0] + i * advance]: words and where
 * they stand. ids u32 (n), table (V, d), positions (P, d), position u32 (1). The table may exceed the
 * largest binding: each of its bands serves the ids that lie in it.
 *
 * @throws {Florence2Error} `shape_mismatch`
 */
export function embedTokens(
  rec: Recording,
  ids: Tensor,
  table: Tensor,
  positions: Tensor,
  position: Tensor,
  { firstPosition, advance, out, outRow = 0 }: EmbedOptions,
): Tensor {
  const [count, d] = [ids.shape[0]!, columnsOf(table)];
  const target = out ?? rec.temp([count, d]);
  if (d % 4 !== 0) {
    throw new Florence2Error(
      "shape_mismatch",
      `embed_tokens: table [${table.shape}], expected a multiple of four columns`,
    );
  }
  expectShape(positions, [rowsOf(positions), d], "embed_tokens positions");
  expectShape(position, [1], "embed_tokens position");
  if (columnsOf(target) !== d || outRow + count > rowsOf(target)) {
    throw new Florence2Error(
      "shape_mismatch",
      `embed_tokens: ${count} rows of ${d} columns do not fit into out [${target.shape}] from row ${outRow} on`,
    );
  }
  for (const { from, to, tensor } of rec.bands(table)) {
    const params = {
      count,
      d,
      band_start: from,
      band_rows: to - from,
      first_position: firstPosition,
      advance,
      out_row: outRow,
    };
    rec.dispatch(embedTokensKernel, { ids, table: tensor, positions, position, out: target }, params, {});
  }
  return target;
}
