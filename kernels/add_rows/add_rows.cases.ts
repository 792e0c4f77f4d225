import { kernelCases } from "../shared/kernel_cases.ts";
import { addRows, addRowsKernel } from "./add_rows.ts";

export default kernelCases(addRowsKernel, {
  cases: [
    { name: "image tokens of base", n: 577, rows: 1026, d: 768, firstRow: 2 },
    { name: "ragged", n: 5, rows: 9, d: 7, firstRow: 4 },
  ],
  inputs: ({ n, rows, d }, random) => ({
    x: random.normal(n, d),
    table: random.normal(rows, d),
    out: random.normal(n + 3, d),
  }),
  record: (rec, { x, table, out }, { firstRow }) => {
    addRows(rec, x!, table!, firstRow, out!);
    return { out: out! };
  },
  work: ({ n, d }) => ({ bytes: 4 * 3 * n * d, operations: n * d }),
  tolerance: 1e-6,
});
