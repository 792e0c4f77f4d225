import { type InputArray, kernelCases } from "../shared/kernel_cases.ts";
import { foldChannelAttention, foldChannelAttentionKernel } from "./fold_channel_attention.ts";

export default kernelCases(foldChannelAttentionKernel, {
  cases: [
    { name: "stage 1 of base", chunks: 64, G: 4, D: 32 },
    { name: "stage 3 of base", chunks: 16, G: 16, D: 32 },
    { name: "a group more than workgroups are wide", chunks: 2, G: 17, D: 32 },
    { name: "ragged", chunks: 7, G: 5, D: 20 },
    { name: "narrow groups", chunks: 3, G: 9, D: 4 },
    { name: "one chunk, one group", chunks: 1, G: 1, D: 4 },
  ],
  inputs: ({ chunks, G, D }, random) => {
    const C = G * D;
    // Weights as trained ones are: what they make stays near 1.
    const scaled = ({ shape, data }: InputArray) => ({ shape, data: data.map((value) => value * C ** -0.5) });
    return {
      partials: random.normal(chunks, G, D, D),
      qkvWeight: scaled(random.normal(3 * C, C)),
      qkvBias: random.normal(3 * C),
      projWeight: scaled(random.normal(C, C)),
      projBias: random.normal(C),
    };
  },
  // A scale that makes scores of about 1, as many tokens do with real partial sums.
  record: (rec, { partials, qkvWeight, qkvBias, projWeight, projBias }, { chunks }) => {
    const qkv = { weight: qkvWeight!, bias: qkvBias! };
    return {
      ...foldChannelAttention(
        rec,
        partials!,
        { qkv, proj: { weight: projWeight!, bias: projBias! } },
        chunks,
      ),
    };
  },
  weights: ["qkvWeight", "projWeight"],
  work: ({ chunks, G, D }) => ({
    bytes: 4 * G * D * (chunks * D + 3 * G * D),
    operations: G * D * (chunks * D + 2 * G * D * (D + G * D)),
  }),
  tolerance: 1e-5,
});
