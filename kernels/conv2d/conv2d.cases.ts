import { convolvedSide } from "../shared/convolved_side.ts";
import { kernelCases } from "../shared/kernel_cases.ts";
import { type ConvGeometry, conv2d, conv2dKernel } from "./conv2d.ts";

interface Case extends ConvGeometry {
  readonly name: string;
  readonly C: number;
  readonly O: number;
  /** Whether tokens are read through their layer norm. */
  readonly norm?: boolean;
}

/** The two kinds of patch embedding in released models. */
const first = { kernel: 7, stride: 4, padding: 3 } as const;
const later = { kernel: 3, stride: 2, padding: 1 } as const;

const cases: readonly Case[] = [
  { name: "stage 1 of base, an eighth", ...first, height: 96, width: 768, C: 4, O: 128 },
  { name: "stage 2 of base, an eighth", ...later, height: 24, width: 192, C: 128, O: 256, norm: true },
  { name: "stage 4 of base, a quarter", ...later, height: 12, width: 48, C: 512, O: 1024, norm: true },
  { name: "ragged image", ...first, height: 13, width: 30, C: 4, O: 5 },
  { name: "ragged map", ...later, height: 7, width: 9, C: 36, O: 70 },
  { name: "ragged map, normalised", ...later, height: 7, width: 9, C: 36, O: 71, norm: true },
  { name: "patches that overlap fully", ...later, stride: 1, height: 5, width: 13, C: 20, O: 66 },
  { name: "patches of 16 pixels", kernel: 16, stride: 16, padding: 0, height: 48, width: 80, C: 4, O: 37 },
  { name: "patches of 32 pixels", kernel: 32, stride: 32, padding: 0, height: 64, width: 96, C: 4, O: 33 },
  { name: "wide padding, even filter", ...later, kernel: 4, padding: 3, height: 4, width: 3, C: 4, O: 3 },
  { name: "one pixel, one output", ...later, height: 1, width: 1, C: 4, O: 1 },
];

export default kernelCases(conv2dKernel, {
  cases,
  inputs: ({ height, width, kernel, C, O, norm }, random) => {
    const weight = random.normal(O, kernel, kernel, C);
    // Of such a size that outputs are about 1, as in a trained model.
    const scale = (C * kernel * kernel) ** -0.5;
    return {
      x: random.normal(height * width, C),
      weight: { ...weight, data: weight.data.map((value) => value * scale) },
      bias: random.normal(O),
      ...(norm && { normWeight: random.normal(C), normBias: random.normal(C) }),
    };
  },
  record: (rec, { x, weight, bias, normWeight, normBias }, testCase) => {
    const source = testCase.norm ? { rows: x!, norm: { weight: normWeight!, bias: normBias! } } : x!;
    return { out: conv2d(rec, source, { weight: weight!, bias: bias! }, testCase) };
  },
  weights: ["weight"],
  work: (testCase) => {
    const { height, width, kernel, C, O } = testCase;
    const outputs = convolvedSide(height, testCase) * convolvedSide(width, testCase) * O;
    const filter = C * kernel * kernel;
    return {
      bytes: 4 * (height * width * C + filter * O + O + outputs),
      operations: 2 * outputs * filter,
    };
  },
  // Sums of up to 4608 products of either sign, in f32.
  tolerance: 3e-5,
});
