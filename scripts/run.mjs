/**
 * `npm run NAME [-- arguments]`: sets up what is missing, then runs one of the programs below.
 * With --install-driver, software Vulkan is installed first where there is no GPU (Debian, as root).
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureDriver } from "./driver.mjs";
import { ensureApp, ensureBuild, ensurePackages, root, run } from "./steps.mjs";

const ONNX_RUNTIME = "onnxruntime-node@1.30.0";

const cli = (...command) => ({ program: "dist/cli.js", command });
/** The program of each name, its first arguments, and its requirements. */
const PROGRAMS = {
  start: cli(),
  eval: cli("evaluate"),
  gallery: cli("gallery"),
  "verify:real": cli("verify"),
  bench: { program: ".cache/bench/bench/main.js", before: buildBench },
  "bench:peers": {
    program: ".cache/bench/bench/peers/main.js",
    before: buildPeers,
  },
  serve: { program: "apps/server/dist/main.js", before: () => ensureApp("server") },
  mcp: { program: "apps/mcp/dist/main.js", before: () => ensureApp("mcp") },
};

const [name, ...given] = process.argv.slice(2);
const { program, command = [], before } = PROGRAMS[name];
const args = given.filter((argument) => argument !== "--install-driver");
// The demonstration draws what it found, into a folder that git ignores.
if (name === "start" && args.length === 0) args.push("--out", "out/");
ensurePackages();
ensureBuild();
before?.();
if (args.length < given.length) ensureDriver();
const child = spawn(process.execPath, [join(root, program), ...command, ...args], { stdio: "inherit" });
// The program decides when it ends: a service first answers what it has accepted.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => {
  process.exitCode = signal === "SIGINT" ? 130 : (code ?? 1);
});

function buildBench() {
  run(process.execPath, [join(root, "scripts", "build.mjs"), "bench"]);
}

/** The bench, and ONNX Runtime: 290 MB that only this bench needs. */
function buildPeers() {
  buildBench();
  const peers = join(root, ".cache/peers");
  if (existsSync(join(peers, "node_modules/onnxruntime-node"))) return;
  // Without its script, which would download CUDA's libraries.
  run("npm", ["install", "--prefix", peers, "--ignore-scripts", "--no-audit", "--no-fund", ONNX_RUNTIME], {
    shell: process.platform === "win32",
  });
}
