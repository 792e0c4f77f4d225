import { kernelCases } from "../../core/kernel_cases.ts";
import { meanRows, meanRowsKernel } from "./mean_rows.ts";

export default kernelCases(meanRowsKernel, {
  cases: [
    { name: "base", N: 577, C: 1024, from: 1, to: 577, outRow: 0 },
    { name: "large", N: 577, C: 2048, from: 1, to: 577, outRow: 0 },
    { name: "rows in the middle, result behind", N: 13, C: 45, from: 2, to: 5, outRow: 11 },
    { name: "one row, one column", N: 2, C: 1, from: 1, to: 2, outRow: 0 },
  ],
  inputs: ({ N, C }, random) => ({ x: random.normal(N, C) }),
  record: (rec, { x }, { from, to, outRow }) => {
    meanRows(rec, x!, { from, to, outRow });
    return { x: x! };
  },
  work: ({ C, from, to }) => ({ bytes: 4 * C * (to - from + 1), operations: C * (to - from) }),
  tolerance: 1e-6,
});
