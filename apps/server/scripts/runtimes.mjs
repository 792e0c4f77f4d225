/** `npm run runtimes --workspace apps/server`: the black-box suite against the program in Node 20, 22 and 24 and in Deno. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureApp, ensureBuild, ensurePackages, run } from "../../../scripts/steps.mjs";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** A version of Node from its npm package. */
function node(version) {
  const folder = join(root, ".cache/runtimes", `node${version}`);
  const binary = join(folder, "node_modules/node/bin/node");
  if (!existsSync(binary)) {
    run("npm", ["install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", `node@${version}`], {
      shell: process.platform === "win32",
    });
  }
  return `node ${version}=${binary}`;
}

ensurePackages();
ensureBuild();
ensureApp("server");
const deno = `deno=${join(root, "node_modules/.bin/deno")} run -A`;
const { status } = spawnSync(
  process.execPath,
  [join(root, "node_modules/vitest/vitest.mjs"), "run", "apps/server/tests/contract"],
  {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, FLORENCE2_RUNTIMES: [...[20, 22, 24].map(node), deno].join(";") },
  },
);
process.exitCode = status ?? 1;
