import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GpuRunner } from "../../core/gpu/gpu_runner.ts";
import type { Variant } from "../../core/kernel.ts";
import { dispatchOf, weightFormats } from "../../measure/case_runs.ts";
import { gpuMissing, openTestGpu, profile } from "../support/gpu.ts";
import { allKernelCases, checkCase } from "../support/kernel_check.ts";

const textOf = ({ source, includes = [] }: Variant) => [...includes, source].map(({ file }) => file).join();

describe.skipIf(gpuMissing)(`kernels against their twins${gpuMissing ? ` (${gpuMissing})` : ""}`, () => {
  let gpu: GpuRunner;
  beforeAll(async () => {
    gpu = await openTestGpu({ debug: true });
  });
  afterAll(() => gpu.dispose());

  for (const suite of allKernelCases) {
    describe(suite.kernel.name, () => {
      const { variants } = suite.kernel;
      for (const variant of variants) {
        // How weights are read does not depend on the size of tiles.
        const isFirstOfText = variants.find((one) => textOf(one) === textOf(variant)) === variant;
        for (const testCase of suite.cases) {
          const formats =
            suite.weights && isFirstOfText ? weightFormats(suite, testCase) : [variant.weights?.[0]];
          for (const format of formats) {
            if (!dispatchOf(suite, testCase, variant.label, profile, format)) continue;
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
