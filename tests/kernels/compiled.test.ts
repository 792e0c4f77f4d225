import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Arena } from "../../core/cpu/arena.ts";
import { compileKernels, type SimdForm } from "../../core/cpu/compiled_kernels.ts";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import { Engine } from "../../core/cpu/engine.ts";
import { placeOfI8 } from "../../core/cpu/product_speeds.ts";
import type { Kernel } from "../../core/kernel.ts";
import { type DeviceProfile, PORTABLE_PROFILE } from "../../core/recording.ts";
import { weightFormats } from "../../measure/case_runs.ts";
import { allKernelCases, checkCase } from "../support/kernel_check.ts";

const ALL_FORMATS: DeviceProfile = { ...PORTABLE_PROFILE, i8: "slower" };
const compiled = await compileKernels(true);
const exported = new Set(WebAssembly.Module.exports(compiled!.module).map(({ name }) => name));
const suites = allKernelCases.filter(({ kernel }) => exported.has(kernel.name));

/** Whether this runtime compiles products in whole numbers right, as V8 11 does not. */
const { profile } = await opened("relaxed SIMD");
/** Without relaxed SIMD, kernels are the same but for a few instructions. */
const MAX_OPERATIONS_WITHOUT = 1e6;

async function opened(form: SimdForm): Promise<CpuRunner> {
  const arena = new Arena(true);
  const engine = await Engine.open(arena, true, 2, [form]);
  return new CpuRunner(arena, engine, { debug: true }, placeOfI8(await engine!.productSpeeds()));
}

describe.each(["relaxed SIMD", "SIMD"] as const)("kernels compiled with %s against their twins", (form) => {
  let runner: CpuRunner;
  beforeAll(async () => {
    runner = await opened(form);
  });
  afterAll(() => runner.dispose());

  for (const suite of suites) {
    const cases = suite.cases.filter(
      (testCase) => form === "relaxed SIMD" || suite.work(testCase).operations <= MAX_OPERATIONS_WITHOUT,
    );
    describe.skipIf(cases.length === 0)(suite.kernel.name, () => {
      for (const testCase of cases) {
        for (const format of suite.weights ? weightFormats(suite, testCase, ALL_FORMATS) : [undefined]) {
          const isWrong = format === "i8" && form === "relaxed SIMD" && !profile.i8;
          it.skipIf(isWrong)(
            [testCase.name, ...(format ? [`weights in ${format}`] : [])].join(": "),
            async () => {
              expect(await checkCase(runner, suite, testCase, undefined, format)).toBeUndefined();
            },
          );
        }
      }
    });
  }
});

describe("the signature of a compiled kernel", () => {
  for (const { kernel } of suites) {
    const url = new URL(`../../kernels/${kernel.name}/${kernel.name}.as.ts`, import.meta.url);
    it(`${kernel.name} agrees with its definition`, () => {
      const source = readFileSync(url, "utf8");
      const sizes = expectedSizes(kernel);
      const whole = [...pointersOf(kernel), ...sizes, "begin: u32", "end: u32"];
      expect(parametersOf(source, kernel.name)).toEqual(whole);
      expect(parametersOf(source, `${kernel.name}_units`)).toEqual(sizes);
      for (const [name, expected] of [
        ["_first", whole],
        ["_first_units", sizes],
        ["_scratch", sizes],
      ] as const) {
        const found = parametersOf(source, `${kernel.name}${name}`);
        if (found) expect(found, name).toEqual(expected);
      }
    });
  }
});

const snake = (name: string) => name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Pointers, in the order of the bindings. */
const pointersOf = ({ bindings }: Kernel) => Object.keys(bindings).map((name) => `${snake(name)}: usize`);

/** The formats of weights, and then what makes up a call's sizes. */
function expectedSizes({ bindings, params, constants }: Kernel): string[] {
  const formats = Object.keys(bindings).filter((name) => bindings[name]!.formats);
  return [
    ...formats.map((name) => `${name}_format: u32`),
    ...Object.entries({ ...params, ...constants }).map(([name, type]) => `${snake(name)}: ${type}`),
  ];
}

function parametersOf(source: string, name: string): string[] | undefined {
  const list = new RegExp(`^export function ${name}\\(([^)]*)\\)`, "m").exec(source)?.[1];
  return list?.split(",").flatMap((parameter) => {
    const [field, type] = parameter.split(":").map((part) => part.trim());
    return field ? [`${snake(field)}: ${type}`] : [];
  });
}
