import type { Tensor } from "../../core/tensor.ts";
import type { Activation } from "../shared/activation.ts";
import { type InputArray, kernelCases } from "../shared/kernel_cases.ts";
import { matmul, matmulKernel } from "./matmul.ts";

interface MatmulCase {
  readonly name: string;
  readonly M: number;
  readonly K: number;
  readonly N: number;
  readonly bias?: boolean;
  readonly activation?: Activation;
  readonly residual?: boolean;
  /** Which rows are read through a layer norm. */
  readonly norm?: "x" | "residual";
  readonly out?: readonly number[];
  /** Whether x and the weights have one sign each, minus and plus: zero points at both ends of a grid. */
  readonly isOneSided?: boolean;
  readonly outRow?: number;
  readonly outColumn?: number;
}

export default kernelCases(matmulKernel, {
  cases: [
    { name: "vision stage 3 of base, 1st FFN layer", M: 300, K: 512, N: 2048, activation: "gelu", norm: "x" },
    { name: "vision stage 4 of base, 2nd FFN layer", M: 70, K: 4096, N: 1024, residual: true },
    { name: "encoder of large, out", M: 187, K: 1024, N: 1024, norm: "residual" },
    { name: "projection, no bias", M: 130, K: 1024, N: 768, bias: false },
    { name: "decoder step of base, 3 beams", M: 3, K: 768, N: 3072, activation: "gelu", norm: "x" },
    { name: "decoder step of large, 1 row", M: 1, K: 4096, N: 1024, norm: "residual" },
    { name: "decoder step of base, 8 images of 3 beams", M: 24, K: 768, N: 768, residual: true },
    { name: "slice of the head", M: 3, K: 768, N: 5000, out: [3, 7000], outColumn: 1500 },
    { name: "slice, many rows", M: 17, K: 4, N: 65, out: [17, 91], outColumn: 13 },
    {
      name: "blocks: keys and values of layers",
      M: 37,
      K: 24,
      N: 144,
      out: [3, 64, 48],
      outRow: 20,
      norm: "x",
    },
    { name: "blocks, few rows", M: 2, K: 24, N: 30, out: [4, 5, 9], outRow: 3, outColumn: 4 },
    { name: "ragged, fours, norm of x", M: 83, K: 52, N: 131, activation: "gelu", residual: true, norm: "x" },
    {
      name: "ragged, fours, norm of the residual",
      M: 83,
      K: 52,
      N: 132,
      activation: "gelu",
      norm: "residual",
    },
    { name: "ragged, few rows, norm of x", M: 6, K: 148, N: 9, residual: true, norm: "x" },
    { name: "ragged, whole blocks of weights", M: 70, K: 96, N: 67, activation: "gelu", norm: "x" },
    { name: "few rows, whole blocks of weights", M: 3, K: 544, N: 37, activation: "gelu", norm: "x" },
    { name: "one row, whole blocks of weights", M: 1, K: 96, N: 132, norm: "residual" },
    { name: "ragged, whole groups of weights", M: 71, K: 192, N: 67 },
    { name: "ragged, whole groups, norm of x", M: 70, K: 128, N: 69, activation: "gelu", norm: "x" },
    { name: "ragged, whole groups, norm of the residual", M: 17, K: 64, N: 12, norm: "residual" },
    { name: "whole groups of one sign", M: 9, K: 128, N: 20, isOneSided: true },
    { name: "two rows, whole groups, into a slice", M: 2, K: 256, N: 21, out: [2, 40], outColumn: 9 },
    { name: "one row, panels left over", M: 1, K: 128, N: 84 },
    { name: "four rows", M: 4, K: 128, N: 20 },
    { name: "a row left over", M: 7, K: 64, N: 12 },
    { name: "two rows, norm of the residual", M: 2, K: 148, N: 68, norm: "residual" },
    { name: "ragged, fours", M: 83, K: 52, N: 131, activation: "gelu", residual: true },
    { name: "ragged", M: 67, K: 28, N: 69, activation: "gelu", residual: true },
    { name: "ragged, few rows", M: 5, K: 148, N: 7, activation: "gelu", residual: true },
    { name: "tanh approximation of GELU", M: 83, K: 52, N: 131, activation: "geluTanh", residual: true },
    { name: "tanh approximation of GELU, few rows", M: 3, K: 52, N: 13, activation: "geluTanh" },
    { name: "quick GELU", M: 67, K: 28, N: 69, activation: "quickGelu" },
    { name: "quick GELU, few rows", M: 3, K: 28, N: 9, activation: "quickGelu" },
    { name: "SiLU", M: 67, K: 28, N: 69, activation: "silu", norm: "x" },
    { name: "SiLU, few rows", M: 3, K: 28, N: 9, activation: "silu" },
    { name: "ReLU", M: 67, K: 28, N: 69, activation: "relu", residual: true },
    { name: "ReLU, few rows", M: 3, K: 28, N: 9, activation: "relu" },
    { name: "one column", M: 70, K: 20, N: 1 },
    { name: "one by one", M: 1, K: 4, N: 1 },
  ] as MatmulCase[],
  inputs: ({ M, K, N, bias = true, residual, norm, isOneSided, out }, random) => ({
    x: isOneSided ? mapped(random.normal(M, K), (value) => -Math.abs(value)) : random.normal(M, K),
    // As trained ones are: sums of K products stay near 1, and so do their errors.
    weight: mapped(random.normal(N, K), (value) => (isOneSided ? Math.abs(value) : value) / Math.sqrt(K)),
    ...(bias && { bias: random.normal(N) }),
    ...((residual || norm === "residual") && { residual: random.normal(M, N) }),
    ...(norm && {
      normWeight: random.normal(norm === "x" ? K : N),
      normBias: random.normal(norm === "x" ? K : N),
    }),
    ...(out && { out: random.normal(...out) }),
  }),
  record: (
    rec,
    { x, weight, bias, residual, normWeight, normBias, out },
    { activation, norm, outRow, outColumn },
  ) => {
    const normed = (rows: Tensor) => ({ rows, norm: { weight: normWeight!, bias: normBias! } });
    return {
      out: matmul(rec, norm === "x" ? normed(x!) : x!, weight!, {
        ...(bias && { bias }),
        ...(residual && { residual: norm === "residual" ? normed(residual) : residual }),
        ...(out && { out }),
        ...(activation && { activation }),
        outRow,
        outColumn,
      }),
    };
  },
  weights: ["weight"],
  work: ({ M, K, N }) => ({ bytes: 4 * (M * K + N * K + M * N), operations: 2 * M * K * N }),
  // The rounding of a sum grows with the square root of its length; matrix units round what weights in blocks mean.
  tolerance: (testCase, { needs }, weights) =>
    weights === "i8"
      ? toleranceOfIntegers(testCase)
      : needs?.includes("matrices")
        ? 2e-3
        : 1e-5 * Math.max(1, Math.sqrt(testCase.K / 1024)),
});

/** Products in whole numbers are exact. A value of a norm may round to the next step of its group: 1/255 of its span. */
function toleranceOfIntegers({ K, norm, activation, residual }: MatmulCase): number {
  if (norm === "x") return 0.08 / Math.sqrt(K);
  return activation || residual || norm ? 1e-6 : 0;
}

function mapped({ shape, data }: InputArray, change: (value: number) => number): InputArray {
  return { shape, data: Float32Array.from(data, change) };
}
