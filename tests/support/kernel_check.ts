import { compileKernels } from "../../core/cpu/compiled_kernels.ts";
import type { Runner } from "../../core/runner.ts";
import { runTwin, type TwinRun } from "../../measure/case_checks.ts";
import {
  type AnyKernelCases,
  type Case,
  inputsOf,
  runCase,
  type WeightFormat,
} from "../../measure/case_runs.ts";
import { compare } from "./close.ts";

const suites = import.meta.glob<{ default: AnyKernelCases }>("../../kernels/*/*.cases.ts", { eager: true });

/** The cases of every kernel, found by file name. */
export const allKernelCases: readonly AnyKernelCases[] = Object.values(suites).map((suite) => suite.default);

/** The names of the kernels that the CPU engine has compiled. */
export async function compiledNames(): Promise<ReadonlySet<string>> {
  const { module } = (await compileKernels(true))!;
  return new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
}

/**
 * Runs a case on a device and on the CPU twins, both on the same weights in one format, and says where they
 * differ; `undefined` if nowhere.
 *
 * @param variant the shader's label; `undefined` for a compiled kernel of the CPU engine
 */
export async function checkCase(
  device: Runner,
  suite: AnyKernelCases,
  testCase: Case,
  variant: string | undefined,
  format?: WeightFormat,
) {
  const { inputs, outputs: expected } = await twinOf(suite, testCase, format);
  const found = await runCase(device, suite, testCase, inputs, variant);
  const { tolerance: allowed, kernel } = suite;
  const used = kernel.variants.find(({ label }) => label === variant) ?? kernel.variants.at(-1)!;
  const tolerance = typeof allowed === "number" ? allowed : allowed(testCase, used, format);
  for (const [name, { data, columns }] of expected) {
    const { faults, report } = compare(found.get(name)!.data, data, tolerance, columns);
    if (faults > 0)
      return `${suite.kernel.name}/${variant ?? "compiled"}, ${testCase.name}, ${name}: ${report}`;
  }
  return undefined;
}

/** The last inputs and the last run of a twin: tests of one case follow each other. */
const lastInputs = lastOf((suite: AnyKernelCases, testCase: Case) => inputsOf(suite, testCase));
const twinOf = lastOf(
  (suite: AnyKernelCases, testCase: Case, format?: WeightFormat): Promise<TwinRun> =>
    runTwin({ ...suite, inputs: () => lastInputs(suite, testCase) }, testCase, format),
);

/** A function that keeps its last value, for the same arguments. */
function lastOf<Args extends readonly unknown[], Value>(compute: (...args: Args) => Value) {
  let last: { readonly args: Args; readonly value: Value } | undefined;
  return (...args: Args): Value => {
    if (!last || args.some((arg, i) => arg !== last!.args[i])) last = { args, value: compute(...args) };
    return last.value;
  };
}
