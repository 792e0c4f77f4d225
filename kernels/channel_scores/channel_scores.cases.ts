import { kernelCases } from "../../core/kernel_cases.ts";
import { channelScores, channelScoresKernel, chunksOf } from "./channel_scores.ts";

export default kernelCases(channelScoresKernel, {
  cases: [
    { name: "stage 1 of base", N: 36864, G: 4, D: 32 },
    { name: "stage 3 of base", N: 2304, G: 16, D: 32 },
    { name: "stage 4 of large", N: 576, G: 64, D: 32 },
    { name: "ragged", N: 333, G: 3, D: 37 },
    { name: "widest head, second band", N: 130, G: 2, D: 64, firstChunk: 3 },
    { name: "one token, one channel", N: 1, G: 1, D: 1 },
  ],
  inputs: ({ N, G, D, firstChunk = 0 }, random) => ({
    qkv: random.normal(N, 3 * G * D),
    partials: random.normal(firstChunk + chunksOf(N), G, D, D),
  }),
  record: (rec, { qkv, partials }, { G, firstChunk }) => ({
    partials: channelScores(
      rec,
      qkv!,
      G,
      firstChunk === undefined ? undefined : { partials: partials!, firstChunk },
    ),
  }),
  work: ({ N, G, D }) => ({ bytes: 4 * (2 * N + chunksOf(N) * D) * G * D, operations: 2 * N * G * D * D }),
  // 128 products of either sign: their rounding errors stay where the sum cancels.
  tolerance: 3e-5,
});
