import { kernelCases } from "../../core/kernel_cases.ts";
import { layerNorm, layerNormKernel } from "./layer_norm.ts";

export default kernelCases(layerNormKernel, {
  cases: [
    { name: "vision stage 1 of base", N: 36864, C: 128 },
    { name: "vision stage 4 of large", N: 576, C: 2048 },
    { name: "decoder step, 3 beams", N: 3, C: 768 },
    { name: "ragged", N: 5, C: 257 },
    { name: "one channel", N: 2, C: 1 },
  ],
  inputs: ({ N, C }, random) => ({
    x: random.normal(N, C),
    weight: random.normal(C),
    bias: random.normal(C),
  }),
  record: (rec, { x, weight, bias }) => ({ out: layerNorm(rec, x!, { weight: weight!, bias: bias! }) }),
  work: ({ N, C }) => ({ bytes: 4 * (2 * N * C + 2 * C), operations: 8 * N * C }),
  tolerance: 1e-5,
});
