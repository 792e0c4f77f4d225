/** Each variant has a measured win on record in bench/results, or is never taken unless it is asked for. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { KernelReport } from "../../bench/report.ts";
import type { Feature, Kernel, Variant } from "../../core/kernel.ts";
import { PORTABLE_PROFILE } from "../../core/recording.ts";
import { dispatchOf } from "../../measure/case_runs.ts";
import type { KernelRow } from "../../measure/kernels.ts";
import { allKernelCases } from "../support/kernel_check.ts";

/** A variant stays if the one that serves every call takes this many times as long. */
const WIN = 1.1;
/** Shorter cases are ragged ones, which time nothing but the submission. */
const MIN_MS = 1;

const results = fileURLToPath(new URL("../../bench/results/", import.meta.url));
const records = readdirSync(results, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith("kernels.json"))
  .map((file) => JSON.parse(readFileSync(`${results}${file}`, "utf8")) as KernelReport);

/** Where the recorded cases get it by default: how many times as long the last variant takes. */
function winsOf(kernel: Kernel, variant: Variant): number[] {
  const last = kernel.variants.at(-1)!;
  const timeOf = ({ gpuMs, ms }: KernelRow) => gpuMs ?? ms;
  return records.flatMap(({ rows }) => {
    const own = rows.filter((row) => row.kernel === kernel.name);
    return own.flatMap((row) => {
      if (row.variant !== variant.label || !row.isDefault) return [];
      const other = own.find((one) => one.case === row.case && one.variant === last.label);
      return other && timeOf(other) >= MIN_MS ? [timeOf(other) / timeOf(row)] : [];
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
          expect(winsOf(kernel, variant)).toEqual([]);
        });
      } else {
        it(`${kernel.name}/${variant.label} wins wherever it is taken`, () => {
          const wins = winsOf(kernel, variant);
          expect(wins.length).toBeGreaterThan(0);
          expect(Math.min(...wins)).toBeGreaterThanOrEqual(WIN);
        });
      }
    }
  }
});
