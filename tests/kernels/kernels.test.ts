import { describe } from "vitest";
import { matmulKernel } from "../../kernels/matmul/matmul.ts";
import { allKernelCases } from "../support/kernel_check.ts";
import { testKernels } from "../support/kernel_tests.ts";

/** Of all kernels but `matmul`, which takes as long as they do and has a file of its own. */
describe("kernels against their twins", () =>
  testKernels(allKernelCases.filter(({ kernel }) => kernel.name !== matmulKernel.name)));
