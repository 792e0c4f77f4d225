/** `npm start [picture] [task] [options]`: sets up what is missing, then runs the command-line program. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ensureAdapter, ensureBuild, ensurePackages, root } from "./steps.mjs";

ensurePackages();
ensureBuild();
ensureAdapter();
const { status } = spawnSync(process.execPath, [join(root, "dist", "cli.js"), ...process.argv.slice(2)], {
  stdio: "inherit",
});
process.exitCode = status ?? 1;
