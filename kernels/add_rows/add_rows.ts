import { Florence2Error } from "../../core/errors.ts";
import { ceilDiv, defineKernel, linearGroups, read, update } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, elementsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { addRowsTwin } from "./add_rows.twin.ts";

export const signature = {
  name: "add_rows",
  bindings: { x: read, table: read, out: update },
  /** In elements. */
  params: { count: "u32", first: "u32" },
  constants: {},
} as const;

export const addRowsKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/add_rows/add_rows.wgsl"),
      includes: [wgsl("kernels/shared/grid.wgsl")],
      groups: ({ count }) => linearGroups(ceilDiv(count, 64)),
    },
  ],
  twin: addRowsTwin,
});

/**
 * out[i] = x[i] + table[firstRow + i] for the rows of x (n, d); rows of out (at least n, d) behind them
 * are left alone. Adds learned positions to image tokens.
 *
 * @throws {Florence2Error} `shape_mismatch`
 */
export function addRows(rec: Recording, x: Tensor, table: Tensor, firstRow: number, out: Tensor): void {
  const [n, d] = [rowsOf(x), columnsOf(x)];
  expectShape(table, [rowsOf(table), d], "add_rows table");
  if (columnsOf(out) !== d || rowsOf(out) < n || firstRow + n > rowsOf(table)) {
    throw new Florence2Error(
      "shape_mismatch",
      `add_rows: ${n} rows of ${d} columns, with rows of table [${table.shape}] from ${firstRow} on, into out [${out.shape}]`,
    );
  }
  rec.dispatch(addRowsKernel, { x, table, out }, { count: elementsOf(x.shape), first: firstRow * d }, {});
}
