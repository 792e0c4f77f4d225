import type { Runner } from "../../core/runner.ts";
import { runTwin, type TwinRun } from "../../measure/case_checks.ts";
import { type AnyKernelCases, type Case, runCase, type WeightFormat } from "../../measure/case_runs.ts";
import { compare } from "./close.ts";

const suites = import.meta.glob<{ default: AnyKernelCases }>("../../kernels/*/*.cases.ts", { eager: true });

/** The cases of every kernel, found by file name. */
export const allKernelCases: readonly AnyKernelCases[] = Object.values(suites).map((suite) => suite.default);

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

/** The last run of a twin: tests of one case follow each other. */
let latest: { readonly of: readonly unknown[]; readonly run: Promise<TwinRun> } | undefined;

function twinOf(suite: AnyKernelCases, testCase: Case, format?: WeightFormat): Promise<TwinRun> {
  const of = [suite, testCase, format];
  if (!latest || of.some((part, i) => part !== latest!.of[i]))
    latest = { of, run: runTwin(suite, testCase, format) };
  return latest.run;
}
