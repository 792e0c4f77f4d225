import { type InputArray, kernelCases } from "../../core/kernel_cases.ts";
import { matmul, matmulKernel } from "./matmul.ts";

export default kernelCases(matmulKernel, {
  cases: [
    { name: "vision stage 3 of base, 1st FFN layer", M: 300, K: 512, N: 2048, gelu: true },
    { name: "vision stage 4 of base, 2nd FFN layer", M: 70, K: 4096, N: 1024, residual: true },
    { name: "encoder of large, out", M: 587, K: 1024, N: 128, residual: true },
    { name: "projection, no bias", M: 130, K: 1024, N: 768, bias: false },
    { name: "decoder step of base, 3 beams", M: 3, K: 768, N: 3072, gelu: true },
    { name: "decoder step of large, 1 row", M: 1, K: 4096, N: 1024, residual: true },
    { name: "decoder step of base, 8 pictures of 3 beams", M: 24, K: 768, N: 768, residual: true },
    { name: "slice of the head", M: 3, K: 768, N: 5000, outColumns: 7000, outColumn: 1500 },
    { name: "slice, many rows", M: 17, K: 4, N: 65, outColumns: 91, outColumn: 13 },
    { name: "ragged, fours", M: 83, K: 52, N: 131, gelu: true, residual: true },
    { name: "ragged", M: 67, K: 27, N: 69, gelu: true, residual: true },
    { name: "ragged, few rows", M: 5, K: 147, N: 7, gelu: true, residual: true },
    { name: "one column", M: 70, K: 20, N: 1 },
    { name: "one by one", M: 1, K: 1, N: 1 },
  ] as {
    name: string;
    M: number;
    K: number;
    N: number;
    bias?: boolean;
    gelu?: boolean;
    residual?: boolean;
    outColumns?: number;
    outColumn?: number;
  }[],
  inputs: ({ M, K, N, bias = true, residual, outColumns = N }, random) => ({
    x: random.normal(M, K),
    weight: scaled(random.normal(N, K), 1 / Math.sqrt(K)),
    ...(bias && { bias: random.normal(N) }),
    ...(residual && { residual: random.normal(M, N) }),
    ...(outColumns !== N && { out: random.normal(M, outColumns) }),
  }),
  record: (rec, { x, weight, bias, residual, out }, { gelu, outColumn }) => ({
    out: matmul(rec, x!, weight!, {
      ...(bias && { bias }),
      ...(residual && { residual }),
      ...(out && { out }),
      activation: gelu ? "gelu" : "none",
      outColumn,
    }),
  }),
  work: ({ M, K, N }) => ({ bytes: 4 * (M * K + N * K + M * N), operations: 2 * M * K * N }),
  tolerance: 1e-5,
});

/** Weights as trained ones are: sums of K products stay near 1, and so do their errors. */
function scaled({ shape, data }: InputArray, factor: number): InputArray {
  return { shape, data: Float32Array.from(data, (value) => value * factor) };
}
