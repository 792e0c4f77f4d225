/**
 * `npm test [vitest arguments]`: sets up what is missing, runs the tests and ends with one line of
 * counts. In CI a missing GPU is a failure; elsewhere its suites are skipped and counted.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureDriver } from "./driver.mjs";
import { ensureApp, ensureBuild, ensurePackages, root } from "./steps.mjs";

ensurePackages();
ensureBuild();
for (const app of readdirSync(join(root, "apps"))) ensureApp(app);
ensureDriver();

if (process.argv.length === 2) {
  console.log("All tests: less than 15 minutes on two processors. A part: npm test -- tests/tokenizer");
}
const results = mkdtempSync(join(tmpdir(), "florence2-tests-"));
const report = join(results, "report.json");
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
const { status } = spawnSync(process.execPath, [vitest, "run", ...reporters, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, ...(process.env.CI && { FLORENCE2_TEST_GPU: "required" }) },
});
try {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  // A suite that fails before its tests are known has no failed test of its own.
  const failed = Math.max(numFailedTests, status === 0 ? 0 : 1);
  const skipped = numPendingTests + numTodoTests;
  console.log(`${numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
} finally {
  rmSync(results, { recursive: true });
}
process.exitCode = status ?? 1;
