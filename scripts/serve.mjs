/** `npm run serve [-- options]`: sets up what is missing, then starts the service of apps/server on the bundled checkpoint. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ensureAdapter, ensureApp, ensureBuild, ensurePackages, root } from "./steps.mjs";

ensurePackages();
ensureBuild();
ensureApp("server");
ensureAdapter();
const main = join(root, "apps/server/dist/main.js");
const server = spawn(process.execPath, [main, ...process.argv.slice(2)], { stdio: "inherit" });
// The server decides when it ends: it first answers what it has accepted.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => server.kill(signal));
server.on("exit", (code) => {
  process.exitCode = code ?? 1;
});
