/** `npm run eval [options]`: sets up what is missing, then measures a checkpoint (see commands/evaluate.ts). */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ensureAdapter, ensureBuild, ensurePackages, root } from "./steps.mjs";

ensurePackages();
ensureBuild();
ensureAdapter();
const { status } = spawnSync(
  process.execPath,
  [join(root, "dist/cli.js"), "evaluate", ...process.argv.slice(2)],
  {
    stdio: "inherit",
  },
);
process.exitCode = status ?? 1;
