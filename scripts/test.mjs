/**
 * `npm test [vitest arguments]`: sets up what is missing, runs the tests and ends with one line of
 * counts. In CI a missing GPU is a failure; elsewhere its suites are skipped and counted.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureDriver } from "./driver.mjs";
import { ensureApp, ensureBuild, ensurePackages, root } from "./steps.mjs";

ensurePackages();
ensureBuild();
for (const app of readdirSync(join(root, "apps"))) ensureApp(app);
ensureDriver();

if (process.argv.length === 2) {
  console.log("All tests: less than 10 minutes on two processors. A part: npm test -- tests/tokenizer");
}
const folder = mkdtempSync(join(tmpdir(), "florence2-counts-"));
const counts = join(folder, "counts.json");
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const reporters = ["--reporter=default", `--reporter=${join(root, "scripts", "count_tests.mjs")}`];
const { status } = spawnSync(process.execPath, [vitest, "run", ...reporters, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
  env: {
    ...process.env,
    FLORENCE2_TEST_COUNTS: counts,
    ...(process.env.CI && { FLORENCE2_TEST_GPU: "required" }),
  },
});
// Vitest that refuses its arguments has counted nothing.
if (existsSync(counts)) {
  const { passed, failed, skipped } = JSON.parse(readFileSync(counts, "utf8"));
  // A suite that fails before its tests are known has no failed test of its own.
  const atLeast = Math.max(failed, status === 0 ? 0 : 1);
  console.log(`${passed} passed, ${atLeast} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
}
rmSync(folder, { recursive: true });
process.exitCode = status ?? 1;
