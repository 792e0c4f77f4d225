import { kernelCases } from "../shared/kernel_cases.ts";
import { SLICE } from "../shared/vocabulary.ts";
import { logSumExp, logSumExpKernel } from "./log_sum_exp.ts";

export default kernelCases(logSumExpKernel, {
  cases: [
    { name: "base, 3 beams", R: 3, V: 51289 },
    { name: "large, 8 images of 5 beams", R: 40, V: 51289 },
    { name: "ragged", R: 2, V: 1025 },
    { name: "not finite", R: 2, V: 2100, broken: [Number.NaN, Number.POSITIVE_INFINITY] },
  ],
  inputs: ({ R, V, broken = [] }, random) => {
    const scores = random.normal(R, V);
    for (const [i, value] of broken.entries()) scores.data[V + 1500 + i] = value;
    return { scores };
  },
  record: (rec, { scores }, { R, V }) => {
    const sums = rec.temp([R, Math.ceil(V / SLICE), 4]);
    logSumExp(rec, scores!, sums);
    return { sums };
  },
  work: ({ R, V }) => ({ bytes: 4 * R * V, operations: 3 * R * V }),
  tolerance: 1e-5,
});
