import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GpuRunner } from "../../core/gpu/gpu_runner.ts";
import { dispatchOf, weightFormats } from "../../measure/case_runs.ts";
import { gpuMissing, openTestGpu, profile } from "../support/gpu.ts";
import { allKernelCases, checkCase } from "../support/kernel_check.ts";

describe.skipIf(gpuMissing)(`kernels against their twins${gpuMissing ? ` (${gpuMissing})` : ""}`, () => {
  let gpu: GpuRunner;
  beforeAll(async () => {
    gpu = await openTestGpu({ debug: true });
  });
  afterAll(() => gpu.dispose());

  for (const suite of allKernelCases) {
    describe(suite.kernel.name, () => {
      const { variants } = suite.kernel;
      for (const testCase of suite.cases) {
        const formats = suite.weights ? weightFormats(suite, testCase) : [undefined];
        for (const format of formats) {
          for (const variant of variants) {
            if (!dispatchOf(suite, testCase, variant.label, profile, format)) continue;
            // Within a case they share the run of the twin.
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
