import { openRunner } from "../../../core/device.ts";
import { type CaseCheck, checkCase, checksOf, expectedOf } from "../../../measure/case_checks.ts";
import { loadKernelCases } from "../../../measure/case_runs.ts";
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
  async run({ device, item, add }) {
    // Debug: fresh memory is NaN, and writes past the end are found.
    const runner = await openRunner(device, { debug: true });
    try {
      for (const suite of await loadKernelCases()) {
        for (const { testCase, format, variants } of checksOf(runner, suite)) {
          let expected: ReturnType<typeof expectedOf> | undefined;
          for (const variant of variants) {
            const name = [`${suite.kernel.name}/${variant}`, testCase.name, ...(format ? [format] : [])].join(
              ", ",
            );
            await item(name, async () => {
              expected ??= expectedOf(suite, testCase, format);
              add({ ...(await checkCase(runner, suite, testCase, variant, format, await expected)) });
            });
          }
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
