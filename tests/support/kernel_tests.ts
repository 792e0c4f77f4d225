/** The tests of kernels: each variant of a shader, and what is compiled for the CPU engine, beside one run of the twin. */
import { afterAll, describe, expect, it } from "vitest";
import { Arena } from "../../core/cpu/arena.ts";
import type { SimdForm } from "../../core/cpu/compiled_kernels.ts";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import { Engine } from "../../core/cpu/engine.ts";
import { placeOfI8 } from "../../core/cpu/product_speeds.ts";
import { type DeviceProfile, PORTABLE_PROFILE } from "../../core/recording.ts";
import {
  type AnyKernelCases,
  type Case,
  dispatchOf,
  type WeightFormat,
  weightFormats,
} from "../../measure/case_runs.ts";
import { gpuMissing, openTestGpu, profile } from "./gpu.ts";
import { checkCase, compiledNames } from "./kernel_check.ts";

const ALL_FORMATS: DeviceProfile = { ...PORTABLE_PROFILE, i8: "slower" };
const FORMS = ["relaxed SIMD", "SIMD"] as const;
/** Without relaxed SIMD, kernels are the same but for a few instructions. */
const MAX_OPERATIONS_WITHOUT = 1e6;

async function opened(form: SimdForm): Promise<CpuRunner> {
  const arena = new Arena(true);
  const engine = await Engine.open(arena, true, 2, [form]);
  return new CpuRunner(arena, engine, { debug: true }, placeOfI8(await engine!.productSpeeds()));
}

/** Every case of these kernels, with weights in every format, on everything that this machine has. */
export async function testKernels(suites: readonly AnyKernelCases[]): Promise<void> {
  const compiled = await compiledNames();
  const gpu = gpuMissing ? undefined : await openTestGpu({ debug: true });
  const engines = { "relaxed SIMD": await opened("relaxed SIMD"), SIMD: await opened("SIMD") };
  afterAll(() => {
    gpu?.dispose();
    for (const runner of Object.values(engines)) runner.dispose();
  });

  const testCaseIn = (suite: AnyKernelCases, testCase: Case, format: WeightFormat | undefined) => {
    const isOfGpu = !format || weightFormats(suite, testCase).includes(format);
    for (const { label } of isOfGpu ? suite.kernel.variants : []) {
      if (!dispatchOf(suite, testCase, label, profile, format)) continue;
      it.skipIf(!gpu)(`shader ${label}${gpuMissing ? ` (${gpuMissing})` : ""}`, async () => {
        expect(await checkCase(gpu!, suite, testCase, label, format)).toBeUndefined();
      });
    }
    for (const form of compiled.has(suite.kernel.name) ? FORMS : []) {
      if (form === "SIMD" && suite.work(testCase).operations > MAX_OPERATIONS_WITHOUT) continue;
      // Some runtimes compile products in whole numbers wrong, as V8 11 does.
      const isWrong = format === "i8" && form === "relaxed SIMD" && !engines[form].profile.i8;
      it.skipIf(isWrong)(`compiled with ${form}`, async () => {
        expect(await checkCase(engines[form], suite, testCase, undefined, format)).toBeUndefined();
      });
    }
  };

  for (const suite of suites) {
    describe(suite.kernel.name, () => {
      for (const testCase of suite.cases) {
        const formats = suite.weights ? weightFormats(suite, testCase, ALL_FORMATS) : [undefined];
        for (const format of formats) {
          const name = [testCase.name, ...(format ? [`weights in ${format}`] : [])].join(": ");
          describe(name, () => testCaseIn(suite, testCase, format));
        }
      }
    });
  }
}
