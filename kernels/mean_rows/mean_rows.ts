import { Florence2Error } from "../../core/errors.ts";
import { ceilDiv, defineKernel, linearGroups, update } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { columnsOf, rowsOf, type Tensor } from "../../core/tensor.ts";
import { meanRowsTwin } from "./mean_rows.twin.ts";

const COLUMNS = 32;

export const meanRowsKernel = defineKernel({
  name: "mean_rows",
  bindings: { x: update },
  params: { first_row: "u32", end_row: "u32", out_row: "u32" },
  constants: { C: "u32" },
  variants: [
    {
      label: "portable",
      source: new URL("./mean_rows.wgsl", import.meta.url),
      includes: [new URL("../shared/grid.wgsl", import.meta.url)],
      groups: (_, { C }) => linearGroups(ceilDiv(C, COLUMNS)),
    },
  ],
  twin: meanRowsTwin,
});

/**
 * x[outRow] = mean of the rows `from` (inclusive) to `to` (exclusive) of x (N, C), in place: the token
 * that Microsoft's module calls `spatial_avg_pool`.
 */
export function meanRows(
  rec: Recording,
  x: Tensor,
  { from, to, outRow }: { readonly from: number; readonly to: number; readonly outRow: number },
): void {
  const N = rowsOf(x);
  if (!(0 <= from && from < to && to <= N) || !(0 <= outRow && outRow < N)) {
    throw new Florence2Error(
      "shape_mismatch",
      `mean_rows: rows ${from} to ${to}, or row ${outRow}, do not exist in x [${x.shape}]`,
    );
  }
  if (from <= outRow && outRow < to) {
    throw new Florence2Error(
      "shape_mismatch",
      `mean_rows: row ${outRow} is to hold the mean of rows ${from} to ${to}, which it is one of`,
    );
  }
  rec.dispatch(meanRowsKernel, { x }, { first_row: from, end_row: to, out_row: outRow }, { C: columnsOf(x) });
}
