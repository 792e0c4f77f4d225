import type { Twin } from "../../core/kernel.ts";
import type { signature } from "./fold_channel_attention.ts";

export const foldChannelAttentionTwin: Twin<typeof signature> = (
  { partials, qkv_weight, qkv_bias, proj_weight, proj_bias, weight, bias },
  { chunks, groups, scale },
  { D },
) => {
  const C = groups * D;
  // Row c: how channel c is mixed from those of its group.
  const attention = new Float64Array(C * D);
  for (let c = 0; c < C; c++) {
    const row = attention.subarray(c * D, (c + 1) * D);
    for (let chunk = 0; chunk < chunks; chunk++) {
      for (let d = 0; d < D; d++) row[d]! += scale * partials[(chunk * C + c) * D + d]!;
    }
    const highest = row.reduce((a, b) => Math.max(a, b));
    for (let d = 0; d < D; d++) row[d] = Math.exp(row[d]! - highest);
    const total = row.reduce((a, b) => a + b);
    for (let d = 0; d < D; d++) row[d]! /= total;
  }
  const values = qkv_weight.values(2 * C * C, C * C);
  const mixed = new Float64Array(C);
  for (let o = 0; o < C; o++) {
    mixed.fill(0);
    const row = proj_weight.values(o * C, C);
    for (let c = 0; c < C; c++) {
      const group = c - (c % D);
      for (let d = 0; d < D; d++) mixed[group + d]! += row[c]! * attention[c * D + d]!;
    }
    let shift = proj_bias[o]!;
    for (let c = 0; c < C; c++) shift += mixed[c]! * qkv_bias[2 * C + c]!;
    bias[o] = shift;
    for (let k = 0; k < C; k++) {
      let sum = 0;
      for (let c = 0; c < C; c++) sum += mixed[c]! * values[c * C + k]!;
      weight[o * C + k] = sum;
    }
  }
};
