import { kernelCases } from "../shared/kernel_cases.ts";
import { samplingFilter, samplingFilterKernel } from "./sampling_filter.ts";

export default kernelCases(samplingFilterKernel, {
  cases: [
    { name: "50 of base's vocabulary", R: 2, V: 51289, temperature: 1, topK: 50, topP: 1, minKept: 1 },
    { name: "a nucleus", R: 2, V: 5000, temperature: 0.7, topK: 0, topP: 0.9, minKept: 1 },
    { name: "both", R: 3, V: 1000, temperature: 1.5, topK: 100, topP: 0.6, minKept: 2 },
    { name: "as few as may be", R: 2, V: 70, temperature: 1, topK: 0, topP: 0, minKept: 2 },
    { name: "equal scores", R: 2, V: 300, temperature: 1, topK: 40, topP: 0.35, minKept: 2, levels: 3 },
  ],
  inputs: ({ R, V, levels }, random) => {
    const scores = random.normal(R, V);
    return {
      scores: { ...scores, data: scores.data.map((x) => (levels ? Math.round(levels * x) / levels : x)) },
    };
  },
  record: (rec, { scores }, { temperature, topK, topP, minKept }) => {
    samplingFilter(rec, scores!, { temperature, topK, topP, minKept });
    return { scores: scores! };
  },
  work: ({ R, V }) => ({ bytes: 4 * 2 * R * V, operations: R * V }),
  tolerance: 1e-5,
});
