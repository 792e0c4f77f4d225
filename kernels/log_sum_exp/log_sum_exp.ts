import { ceilDiv, defineKernel, linearGroups, read, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { SLICE } from "../shared/vocabulary.ts";
import { logSumExpTwin } from "./log_sum_exp.twin.ts";

export const signature = {
  name: "log_sum_exp",
  bindings: { scores: read, sums: write },
  params: { rows: "u32", columns: "u32" },
  constants: {},
} as const;

export const logSumExpKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/log_sum_exp/log_sum_exp.wgsl"),
      includes: [
        wgsl("kernels/shared/grid.wgsl"),
        wgsl("kernels/shared/vocabulary.wgsl"),
        wgsl("kernels/shared/reduce.wgsl"),
      ],
      groups: ({ rows, columns }) => linearGroups(rows * ceilDiv(columns, SLICE)),
    },
  ],
  twin: logSumExpTwin,
});

/**
 * What makes the scores (R, V) log-probabilities, slice by slice of the vocabulary; `logNormalizer` puts
 * the slices together. Also finds scores that are not finite.
 *
 * @param sums (R, slices, 4), written: the largest score, the sum of exp(score - largest), the first column
 *   whose score is not finite or -1, and that score
 * @throws {Florence2Error} `shape_mismatch`
 */
export function logSumExp(rec: Recording, scores: Tensor, sums: Tensor): void {
  const [rows, columns] = [rowsOf(scores), columnsOf(scores)];
  expectShape(sums, [rows, ceilDiv(columns, SLICE), 4], "log_sum_exp sums");
  rec.dispatch(logSumExpKernel, { scores, sums }, { rows, columns }, {});
}
