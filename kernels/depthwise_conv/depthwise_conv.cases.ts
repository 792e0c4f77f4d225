import { kernelCases } from "../shared/kernel_cases.ts";
import { depthwiseConv, depthwiseConvKernel } from "./depthwise_conv.ts";

export default kernelCases(depthwiseConvKernel, {
  cases: [
    { name: "stage 1 of base", height: 192, width: 192, C: 128 },
    { name: "stage 3 of base", height: 48, width: 48, C: 512 },
    { name: "stage 4 of large", height: 24, width: 24, C: 2048 },
    { name: "ragged", height: 5, width: 11, C: 37 },
    { name: "one row", height: 1, width: 17, C: 3 },
    { name: "one column", height: 9, width: 1, C: 65 },
    { name: "one pixel, one channel", height: 1, width: 1, C: 1 },
  ],
  inputs: ({ height, width, C }, random) => ({
    x: random.normal(height * width, C),
    weight: random.normal(C, 1, 3, 3),
    bias: random.normal(C),
  }),
  record: (rec, { x, weight, bias }, size) => ({
    out: depthwiseConv(rec, x!, { weight: weight!, bias: bias! }, size),
  }),
  work: ({ height, width, C }) => ({
    bytes: 4 * (2 * height * width * C + 10 * C),
    operations: 20 * height * width * C,
  }),
  tolerance: 1e-5,
});
