/** `npm run bench:peers [options]`: sets up what is missing, then times this library beside others (see bench/peers/main.ts). */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureAdapter, ensurePackages, root, run } from "./steps.mjs";

const ONNX_RUNTIME = "onnxruntime-node@1.30.0";

ensurePackages();
const peers = join(root, ".cache/peers");
if (!existsSync(join(peers, "node_modules/onnxruntime-node")))
  // Without its script, which would download CUDA's libraries.
  run("npm", ["install", "--prefix", peers, "--ignore-scripts", "--no-audit", "--no-fund", ONNX_RUNTIME], {
    shell: process.platform === "win32",
  });
run(process.execPath, [join(root, "scripts", "build.mjs"), "bench"]);
ensureAdapter();
const bench = join(root, ".cache/bench/bench/peers/main.js");
const { status } = spawnSync(process.execPath, [bench, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
process.exitCode = status ?? 1;
