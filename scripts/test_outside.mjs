/** `npm run test:outside [vitest arguments]`: the packed package with other people's tools (see tests/outside). */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ensureBuild, ensurePackages, root } from "./steps.mjs";

ensurePackages();
ensureBuild();
const vitest = join(root, "node_modules/vitest/vitest.mjs");
const args = ["run", "--config", "tests/outside/vitest.config.ts", ...process.argv.slice(2)];
process.exitCode =
  spawnSync(process.execPath, [vitest, ...args], { cwd: root, stdio: "inherit" }).status ?? 1;
