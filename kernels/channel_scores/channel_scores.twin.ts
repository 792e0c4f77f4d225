import type { Twin } from "../../core/kernel.ts";
import { normalizeRows } from "../shared/norm.ts";
import type { signature } from "./channel_scores.ts";

export const channelScoresTwin: Twin<typeof signature> = (
  { normed, norm_weight, norm_bias, weight, bias, partials },
  { tokens, chunk, groups },
  { D },
) => {
  const C = groups * D;
  const x = normalizeRows(normed, norm_weight, norm_bias);
  const queriesKeys = new Float64Array(2 * C);
  const projection = weight.values(0, 2 * C * C);
  partials.fill(0);
  for (let t = 0; t < tokens; t++) {
    for (let n = 0; n < 2 * C; n++) {
      let sum = bias[n]!;
      for (let c = 0; c < C; c++) sum += projection[n * C + c]! * x[t * C + c]!;
      queriesKeys[n] = sum;
    }
    const first = Math.floor(t / chunk) * C * D;
    for (let c = 0; c < C; c++) {
      const group = c - (c % D);
      for (let d = 0; d < D; d++)
        partials[first + c * D + d]! += queriesKeys[c]! * queriesKeys[C + group + d]!;
    }
  }
};
