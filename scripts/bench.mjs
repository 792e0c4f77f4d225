/** `npm run bench [options]`: sets up what is missing, then times kernels and a model (see bench/main.ts). */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ensureAdapter, ensurePackages, root, run } from "./steps.mjs";

ensurePackages();
run(process.execPath, [join(root, "scripts", "build.mjs"), "bench"]);
ensureAdapter();
const bench = join(root, ".cache/bench/bench/main.js");
const { status } = spawnSync(process.execPath, [bench, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
process.exitCode = status ?? 1;
