import { openRunner } from "../../../core/device.ts";
import type { Runner } from "../../../core/runner.ts";
import { type CaseCheck, checkCase, checksOf, runTwin, type TwinRun } from "../../../measure/case_checks.ts";
import { type AnyKernelCases, loadKernelCases } from "../../../measure/case_runs.ts";
import { figure, milliseconds, text } from "../../../measure/table.ts";
import { groupBy } from "../groups.ts";
import type { Part } from "../part.ts";
import { scientific, table } from "../words.ts";

interface VariantSummary {
  readonly name: string;
  readonly checks: readonly CaseCheck[];
}

const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), 0);
const COLUMNS = [
  text<VariantSummary>("kernel", 34, ({ name }) => name),
  figure<VariantSummary>("cases", ({ checks }) => String(checks.length)),
  figure<VariantSummary>("wrong", ({ checks }) => String(checks.filter(isWrong).length)),
  figure<VariantSummary>("worst error", ({ checks }) => scientific(most(checks.map(({ worst }) => worst)))),
  figure<VariantSummary>("compile ms", ({ checks }) =>
    milliseconds(most(checks.map((check) => check.compileMs))),
  ),
];

const isWrong = ({ worst, tolerance }: CaseCheck) => !(worst <= tolerance);

const part: Part = {
  title: "Kernels beside their twins",
  weight: 25,
  async run({ device, plan, item, add }) {
    // Debug: fresh memory is NaN, and writes past the end are found.
    const runner = await openRunner(device, { debug: true });
    try {
      const checks = smallestFirst(await loadKernelCases(), runner);
      plan(checks.flatMap((check) => check.variants.map((variant) => nameOf(check, variant))));
      for (const check of checks) {
        const { suite, testCase, format, variants } = check;
        let twin: Promise<TwinRun> | undefined;
        for (const variant of variants) {
          await item(nameOf(check, variant), async () => {
            twin ??= runTwin(suite, testCase, format);
            add({ ...(await checkCase(runner, suite, testCase, variant, format, await twin)) });
          });
        }
      }
    } finally {
      runner.dispose();
    }
  },
  inWords({ rows }) {
    const checks = rows as unknown as readonly CaseCheck[];
    const variants = groupBy(checks, ({ kernel, variant }) => `${kernel}/${variant}`);
    const wrong = checks.filter(isWrong).map(({ kernel, variant, weights, where, ...check }) => {
      const format = weights && `, weights in ${weights}`;
      return `- ${kernel}/${variant}, ${check.case}${format}: error ${scientific(check.worst)}, at most ${scientific(check.tolerance)} is allowed: ${where}`;
    });
    return [
      `${checks.length} comparisons, ${wrong.length} of them wrong. An error is |found - expected| / (1 + |expected|).`,
      ...(wrong.length > 0 ? ["", ...wrong] : []),
      "",
      table(
        COLUMNS,
        [...variants].map(([name, of]) => ({ name, checks: of })),
      ),
    ].join("\n");
  },
};
export default part;

/** All checks of all kernels: each has been compiled and compared once before the large ones take their time. */
function smallestFirst(suites: readonly AnyKernelCases[], runner: Runner) {
  return suites
    .flatMap((suite) => [...checksOf(runner, suite)].map((check) => ({ suite, ...check })))
    .map((check) => ({ ...check, operations: check.suite.work(check.testCase).operations }))
    .sort((a, b) => a.operations - b.operations);
}

const nameOf = (
  { suite, testCase, format }: ReturnType<typeof smallestFirst>[number],
  variant: string,
): string => [`${suite.kernel.name}/${variant}`, testCase.name, ...(format ? [format] : [])].join(", ");
