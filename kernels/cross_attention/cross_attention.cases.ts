import { kernelCases } from "../shared/kernel_cases.ts";
import { crossAttention, crossAttentionKernel } from "./cross_attention.ts";

export default kernelCases(crossAttentionKernel, {
  cases: [
    { name: "base, greedy", R: 1, lengths: [587], S: 640, H: 12, D: 64 },
    { name: "base, 3 beams", R: 3, lengths: [587], S: 640, H: 12, D: 64 },
    { name: "large, 2 images of 3 beams", R: 6, lengths: [587, 595], S: 640, H: 16, D: 64 },
    { name: "more beams than a workgroup takes", R: 36, lengths: [9, 3], S: 12, H: 2, D: 64 },
    { name: "head of 128 channels", R: 2, lengths: [9], S: 12, H: 1, D: 128 },
    { name: "ragged", R: 4, lengths: [1, 65], S: 70, H: 3, D: 20 },
    { name: "wide head", R: 1, lengths: [9], S: 12, H: 1, D: 260 },
  ],
  inputs: ({ R, lengths, S, H, D }, random) => {
    const query = random.normal(H * D, H * D);
    return {
      x: random.normal(R, H * D),
      normWeight: random.normal(H * D),
      normBias: random.normal(H * D),
      // Of such a size that queries are about 1, as in a trained model.
      queryWeight: { ...query, data: query.data.map((value) => value * (H * D) ** -0.5) },
      queryBias: random.normal(H * D),
      keysValues: random.normal(lengths.length, S, 2 * H * D),
      lengths: { shape: [lengths.length], data: Uint32Array.from(lengths) },
    };
  },
  record: (rec, { x, normWeight, normBias, queryWeight, queryBias, keysValues, lengths }, { H }) => ({
    out: crossAttention(
      rec,
      { rows: x!, norm: { weight: normWeight!, bias: normBias! } },
      { weight: queryWeight!, bias: queryBias! },
      keysValues!,
      lengths!,
      H,
    ),
  }),
  weights: ["queryWeight"],
  work: ({ R, lengths, S, H, D }) => ({
    bytes: 4 * (2 * lengths.length * S + H * D) * H * D,
    operations: (4 * S + 2 * H * D) * R * H * D,
  }),
  tolerance: 1e-5,
});
