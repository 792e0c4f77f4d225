import { kernelCases } from "../shared/kernel_cases.ts";
import { layerNorm, layerNormKernel } from "./layer_norm.ts";

export default kernelCases(layerNormKernel, {
  cases: [
    { name: "vision stage 1 of base", N: 36864, C: 128 },
    { name: "projected tokens of large", N: 577, C: 1024 },
    { name: "ragged", N: 5, C: 260 },
    { name: "four channels", N: 2, C: 4 },
  ],
  inputs: ({ N, C }, random) => ({
    x: random.normal(N, C),
    weight: random.normal(C),
    bias: random.normal(C),
  }),
  record: (rec, { x, weight, bias }) => ({
    out: layerNorm(rec, { rows: x!, norm: { weight: weight!, bias: bias! } }),
  }),
  work: ({ N, C }) => ({ bytes: 4 * (2 * N * C + 2 * C), operations: 8 * N * C }),
  tolerance: 1e-5,
});
