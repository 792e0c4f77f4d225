import { kernelCases } from "../../core/kernel_cases.ts";
import { channelMix, channelMixKernel } from "./channel_mix.ts";

export default kernelCases(channelMixKernel, {
  cases: [
    { name: "stage 1 of base", N: 36864, G: 4, D: 32 },
    { name: "stage 3 of base", N: 2304, G: 16, D: 32 },
    { name: "stage 4 of large", N: 576, G: 64, D: 32 },
    { name: "ragged", N: 45, G: 3, D: 37 },
    { name: "widest head", N: 33, G: 2, D: 64 },
    { name: "one token, one channel", N: 1, G: 1, D: 1 },
  ],
  inputs: ({ N, G, D }, random) => ({
    qkv: random.normal(N, 3 * G * D),
    attention: random.normal(G, D, D),
    out: random.normal(N, G * D),
  }),
  record: (rec, { qkv, attention, out }) => {
    channelMix(rec, qkv!, attention!, out!);
    return { out: out! };
  },
  work: ({ N, G, D }) => ({ bytes: 4 * (2 * N + D) * G * D, operations: 2 * N * G * D * D }),
  tolerance: 1e-5,
});
