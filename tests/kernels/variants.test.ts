/** Each variant has a measured win on record in bench/results, or is never taken unless it is asked for. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { KernelReport } from "../../bench/report.ts";
import type { Feature, Kernel, Variant } from "../../core/kernel.ts";
import { PORTABLE_PROFILE } from "../../core/recording.ts";
import { dispatchOf } from "../../measure/case_runs.ts";
import { allKernelCases } from "../support/kernel_check.ts";

/** A variant stays if it takes at most this share of the time of the one that serves every call. */
const WIN = 1 / 1.1;

const results = fileURLToPath(new URL("../../bench/results/", import.meta.url));
const records = readdirSync(results, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith("kernels.json"))
  .map((file) => JSON.parse(readFileSync(`${results}${file}`, "utf8")) as KernelReport);

/** Its time as a share of that of the last variant, in each recorded case that gets it by default. */
function sharesOfTime(kernel: Kernel, variant: Variant): number[] {
  const portable = kernel.variants.at(-1)!;
  return records.flatMap(({ rows }) => {
    const own = rows.filter((row) => row.kernel === kernel.name);
    return own.flatMap((row) => {
      if (row.variant !== variant.label || !row.isDefault) return [];
      const other = own.find((one) => one.case === row.case && one.variant === portable.label);
      return other ? [(row.gpuMs ?? row.ms) / (other.gpuMs ?? other.ms)] : [];
    });
  });
}

describe("a variant beside the one that serves every call", () => {
  for (const { kernel } of allKernelCases.filter(({ kernel }) => kernel.variants.length > 1)) {
    for (const variant of kernel.variants.slice(0, -1)) {
      const suite = allKernelCases.find((one) => one.kernel === kernel)!;
      const features = new Set<Feature>(variant.needs);
      const taken = suite.cases.filter((testCase) => {
        const format = variant.weights?.[0];
        const profile = { ...PORTABLE_PROFILE, features };
        return dispatchOf(suite, testCase, undefined, profile, format)?.variant === variant;
      });
      if (taken.length === 0) {
        it(`${kernel.name}/${variant.label} is not measured: it needs a feature, and is taken only when asked for`, () => {
          expect(variant.needs?.length).toBeGreaterThan(0);
          expect(sharesOfTime(kernel, variant)).toEqual([]);
        });
      } else {
        it(`${kernel.name}/${variant.label} wins wherever it is taken`, () => {
          const shares = sharesOfTime(kernel, variant);
          expect(shares.length).toBeGreaterThan(0);
          expect(shares.filter((share) => share > 1)).toEqual([]);
          expect(Math.min(...shares)).toBeLessThanOrEqual(WIN);
        });
      }
    }
  }
});
