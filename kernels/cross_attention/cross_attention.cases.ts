import { kernelCases } from "../../core/kernel_cases.ts";
import { crossAttention, crossAttentionKernel } from "./cross_attention.ts";

export default kernelCases(crossAttentionKernel, {
  cases: [
    { name: "base, 3 beams", R: 3, lengths: [587], S: 640, H: 12, D: 64 },
    { name: "large, 2 pictures of 3 beams", R: 6, lengths: [587, 595], S: 640, H: 16, D: 64 },
    { name: "ragged", R: 4, lengths: [1, 65], S: 70, H: 3, D: 7 },
  ],
  inputs: ({ R, lengths, S, H, D }, random) => ({
    q: random.normal(R, H * D),
    keysValues: random.normal(lengths.length, S, 2 * H * D),
    lengths: { shape: [lengths.length], data: Uint32Array.from(lengths) },
  }),
  record: (rec, { q, keysValues, lengths }, { H }) => ({
    out: crossAttention(rec, q!, keysValues!, lengths!, H),
  }),
  work: ({ R, S, H, D }) => ({ bytes: 4 * 2 * S * H * D, operations: 4 * R * S * H * D }),
  tolerance: 1e-5,
});
