import { kernelCases } from "../../core/kernel_cases.ts";
import { channelSoftmax, channelSoftmaxKernel } from "./channel_softmax.ts";

export default kernelCases(channelSoftmaxKernel, {
  cases: [
    { name: "stage 1 of base", chunks: 288, G: 4, D: 32 },
    { name: "stage 3 of base", chunks: 18, G: 16, D: 32 },
    { name: "stage 4 of large", chunks: 5, G: 64, D: 32 },
    { name: "ragged", chunks: 7, G: 3, D: 37 },
    { name: "widest head", chunks: 3, G: 2, D: 64 },
    { name: "one chunk, one channel", chunks: 1, G: 1, D: 1 },
  ],
  inputs: ({ chunks, G, D }, random) => ({ partials: random.normal(chunks, G, D, D) }),
  // A scale that makes scores of about 1, as many tokens do with real partial sums.
  record: (rec, { partials }, { chunks }) => ({ attention: channelSoftmax(rec, partials!, chunks) }),
  work: ({ chunks, G, D }) => ({ bytes: 4 * (chunks + 1) * G * D * D, operations: (chunks + 5) * G * D * D }),
  tolerance: 1e-5,
});
