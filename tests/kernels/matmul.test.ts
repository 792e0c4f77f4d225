import { describe } from "vitest";
import { matmulKernel } from "../../kernels/matmul/matmul.ts";
import { allKernelCases } from "../support/kernel_check.ts";
import { testKernels } from "../support/kernel_tests.ts";

describe("kernels against their twins", () =>
  testKernels(allKernelCases.filter(({ kernel }) => kernel.name === matmulKernel.name)));
