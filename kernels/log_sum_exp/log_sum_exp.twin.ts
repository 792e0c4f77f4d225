import type { Twin } from "../../core/kernel.ts";
import { LOWEST, SLICE } from "../shared/vocabulary.ts";
import type { signature } from "./log_sum_exp.ts";

export const logSumExpTwin: Twin<typeof signature> = ({ scores, sums }, { rows, columns }) => {
  const slices = Math.ceil(columns / SLICE);
  for (let r = 0; r < rows; r++) {
    for (let s = 0; s < slices; s++) {
      const slice = scores.subarray(
        r * columns + s * SLICE,
        r * columns + Math.min((s + 1) * SLICE, columns),
      );
      const largest = slice.reduce(
        (max, score) => (Number.isFinite(score) && score > max ? score : max),
        LOWEST,
      );
      const sum = slice.reduce((total, score) => total + Math.exp(score - largest), 0);
      const broken = slice.findIndex((score) => !Number.isFinite(score));
      const found = broken < 0 ? [-1, 0] : [s * SLICE + broken, slice[broken]!];
      sums.set([largest, sum, ...found], (r * slices + s) * 4);
    }
  }
};
