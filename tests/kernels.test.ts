import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GpuRunner } from "../core/gpu_runner.ts";
import { gpuMissing, openTestGpu, profile } from "./support/gpu.ts";
import { allKernelCases, checkCase, isEligible, weightFormats } from "./support/kernel_check.ts";

describe.skipIf(gpuMissing)(`kernels against their twins${gpuMissing ? ` (${gpuMissing})` : ""}`, () => {
  let gpu: GpuRunner;
  beforeAll(async () => {
    gpu = await openTestGpu({ debug: true });
  });
  afterAll(() => gpu.dispose());

  for (const suite of allKernelCases) {
    describe(suite.kernel.name, () => {
      for (const variant of suite.kernel.variants) {
        for (const testCase of suite.cases) {
          if (!isEligible(suite, testCase, variant.label, profile)) continue;
          for (const format of suite.weights ? weightFormats(suite, testCase) : [undefined]) {
            it(
              [variant.label, testCase.name, ...(format ? [`weights in ${format}`] : [])].join(": "),
              async () => {
                expect(await checkCase(gpu, suite, testCase, variant.label, format)).toBeUndefined();
              },
            );
          }
        }
      }
    });
  }
});
