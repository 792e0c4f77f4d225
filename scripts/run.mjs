/**
 * `npm run NAME [-- arguments]`: sets up what is missing, then runs one of the programs below.
 * With --install-driver, software Vulkan is installed first where there is no GPU (Debian, as root).
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureDriver } from "./driver.mjs";
import { ensureApp, ensureBuild, ensurePackages, root, run } from "./steps.mjs";

/** The peers by package: 600 MB that only `bench:peers` needs. */
const PEERS = {
  "onnxruntime-node": "1.30.0",
  "onnxruntime-web": "1.30.0",
  "@huggingface/transformers": "4.3.2",
};

const cli = (...command) => ({ program: "dist/cli.js", command });
/** The program of each name, its first arguments, and its requirements. */
const PROGRAMS = {
  start: cli(),
  eval: cli("evaluate"),
  gallery: cli("gallery"),
  "verify:real": cli("verify"),
  bench: { program: ".cache/bench/bench/main.js", before: buildBench },
  "bench:confidence": { program: ".cache/bench/bench/confidence/main.js", before: buildBench },
  "bench:folders": { program: ".cache/bench/bench/folders.js", before: buildBench },
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

function buildPeers() {
  buildBench();
  const folder = join(root, ".cache/peers");
  const missing = Object.entries(PEERS).filter(([name]) => !existsSync(join(folder, "node_modules", name)));
  if (missing.length === 0) return;
  // Without their scripts, which would download CUDA's libraries.
  const options = ["--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"];
  const packages = missing.map(([name, version]) => `${name}@${version}`);
  run("npm", ["install", ...options, ...packages], { shell: process.platform === "win32" });
}
