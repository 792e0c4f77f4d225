import { kernelCases } from "../shared/kernel_cases.ts";
import { channelScores, channelScoresKernel } from "./channel_scores.ts";

export default kernelCases(channelScoresKernel, {
  cases: [
    { name: "stage 1 of base, a quarter", N: 9216, G: 4, D: 32, workgroups: 256 },
    { name: "stage 3 of base, a quarter", N: 576, G: 16, D: 32, workgroups: 256 },
    { name: "stage 1 of base, a quarter, long sums", N: 9216, G: 4, D: 32, workgroups: 16 },
    { name: "stage 3 of base, a quarter, long sums", N: 576, G: 16, D: 32, workgroups: 16 },
    { name: "stage 4 of large, a row", N: 24, G: 64, D: 32, workgroups: 256 },
    { name: "a group without a neighbour, ragged", N: 290, G: 3, D: 32, workgroups: 256 },
    { name: "ragged", N: 290, G: 3, D: 20, workgroups: 256 },
    { name: "narrow groups", N: 70, G: 9, D: 4, workgroups: 256 },
    { name: "many tokens, groups that share panels", N: 1000, G: 2, D: 12, workgroups: 16 },
    { name: "as many tokens as channels", N: 24, G: 1, D: 24, workgroups: 16 },
    { name: "one token, one group", N: 1, G: 1, D: 4, workgroups: 256 },
  ],
  inputs: ({ N, G, D }, random) => {
    const C = G * D;
    const weight = random.normal(3 * C, C);
    return {
      x: random.normal(N, C),
      normWeight: random.normal(C),
      normBias: random.normal(C),
      // Of such a size that queries and keys are about 1, as in a trained model.
      weight: { ...weight, data: weight.data.map((value) => value * (2 * C) ** -0.5) },
      bias: random.normal(3 * C),
    };
  },
  record: (rec, { x, normWeight, normBias, weight, bias }, { G, workgroups }) => ({
    partials: channelScores(
      rec,
      { rows: x!, norm: { weight: normWeight!, bias: normBias! } },
      { weight: weight!, bias: bias! },
      G,
      workgroups,
    ),
  }),
  weights: ["weight"],
  work: ({ N, G, D }) => ({
    bytes: 4 * G * D * (N + 2 * G * D),
    operations: N * G * D * (4 * G * D + 2 * D),
  }),
  // Up to some hundred products of either sign, of sums over all channels: errors stay where they cancel.
  tolerance: 1e-4,
});
