import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { withReports } from "../../bench/report.ts";
import { sideBySide } from "../../bench/side_by_side.ts";
import { type Report, withDecisions } from "../../commands/report/document.ts";
import type { PartResult } from "../../commands/report/part.ts";
import { emptyResult } from "../../commands/report/run_part.ts";
import { originOf } from "../../measure/origin.ts";

const result = (part: string, found: Partial<PartResult>): PartResult => ({
  ...emptyResult({ part, title: part }),
  outcome: "done",
  ...found,
});
const reportOf = (adapter: string, results: readonly PartResult[]): Report =>
  withDecisions({ version: "1", origin: originOf(adapter), device: "gpu", minutes: 8, results });

const fast = reportOf("A fast GPU", [
  result("kernels", {
    rows: [
      { worst: 1e-7, tolerance: 1e-5 },
      { worst: "Infinity", tolerance: 1e-5 },
    ],
  }),
  result("ceilings", { facts: { gigabytesPerSecond: 3000, dependentUs: 2.5 } }),
  result("phases_f16", {
    rows: [
      { phase: "vision", batch: 1, ms: 1.25 },
      { phase: "<CAPTION> from picture to answer", batch: 8, ms: 40 },
    ],
  }),
  result("peers", {
    rows: [{ beside: "eager", phase: "whole caption", contestant: "PyTorch", ratio: 15.5 }],
  }),
]);
const slow = reportOf("A slow one", [result("ceilings", { facts: { gigabytesPerSecond: 30 } })]);

it("reports of several adapters stand side by side", () => {
  const table = sideBySide([fast, slow]);
  expect(table).toMatch(/^\| +\| A fast GPU \| A slow one \|$/m);
  expect(table).toMatch(/^\| kernels that compute wrong +\| +1 of 2 \| +- \|$/m);
  expect(table).toMatch(/^\| copying, GB\/s +\| +3000 \| +30 \|$/m);
  expect(table).toMatch(/^\| call after call that it needs, µs +\| +2\.50 \| +- \|$/m);
  expect(table).toMatch(/^\| base in f16: vision, ms +\| +1\.25 \| +- \|$/m);
  expect(table).toMatch(/^\| base in f16: 8 captions, ms +\| +40 \| +- \|$/m);
  expect(table).toMatch(/^\| times as long, PyTorch eager +\| +15\.5 \| +- \|$/m);
  expect(table).not.toContain("base in f32");
  expect(table).toMatch(/^- A slow one: Node .*, at most 8 minutes$/m);
});

it("and go before the other results of a folder", () => {
  const results = mkdtempSync(join(tmpdir(), "florence2-reports-"));
  try {
    for (const [name, report] of Object.entries({ fast, slow })) {
      mkdirSync(join(results, name));
      writeFileSync(join(results, name, "report.json"), JSON.stringify(report));
    }
    const text = withReports("<!-- bench -->\n<!-- /bench -->\n", results);
    expect(text).toContain(sideBySide([fast, slow]));
  } finally {
    rmSync(results, { recursive: true });
  }
});
