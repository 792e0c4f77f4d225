/**
 * Compiles the kernels of the CPU engine, `kernels/**\/*.as.ts`, from AssemblyScript to WebAssembly: one module in two
 * forms, with relaxed SIMD and without. `core/cpu/compiled.js` has both as text, and beside them the program of the
 * engine's workers, so that no bundler has to find files.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./steps.mjs";

const COMPILED = join(root, "core/cpu/compiled.js");
/** Exports beside the kernels. */
const SHARED_ENTRIES = ["checks", "limits", "memory", "pack"].map((name) => `kernels/shared/${name}.as.ts`);
const FORMS = { relaxed: ["--enable", "relaxed-simd"], simd: [] };
const OPTIONS = [
  ..."-O3 --noAssert --runtime stub --noExportMemory --enable simd --enable threads".split(" "),
  // The engine makes one memory that all threads share, of up to 4 GiB; it imports it as unshared where it must.
  ..."--importMemory --sharedMemory --initialMemory 16 --maximumMemory 65536".split(" "),
  // Pointers have 32 bits here.
  ..."--disableWarning 201".split(" "),
];

const sources = () =>
  readdirSync(join(root, "kernels"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".as.ts"))
    .map((file) => join("kernels", file).replaceAll("\\", "/"))
    .sort();

/** Compiles the kernels if one of their sources is newer than what was compiled last. */
export async function ensureCompiledKernels() {
  const inputs = [...sources(), "scripts/compile_kernels.mjs", "core/cpu/worker.ts", "core/cpu/protocol.ts"];
  const newest = Math.max(...inputs.map((file) => statSync(join(root, file)).mtimeMs));
  if (existsSync(COMPILED) && statSync(COMPILED).mtimeMs >= newest) return;
  const folder = mkdtempSync(join(tmpdir(), "florence2-kernels-"));
  try {
    const forms = Object.entries(FORMS).map(([form, options]) => {
      const file = join(folder, `${form}.wasm`);
      compile(file, options);
      return `export const ${form} = "${readFileSync(file).toString("base64")}";`;
    });
    const worker = `export const worker = ${JSON.stringify(await workerProgram())};`;
    writeFileSync(COMPILED, `${[...forms, worker].join("\n")}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function compile(file, options) {
  const isKernel = (source) => /^kernels\/(\w+)\/\1\.as\.ts$/.test(source);
  const entries = [...SHARED_ENTRIES, ...sources().filter(isKernel)];
  const compiler = join(root, "node_modules/assemblyscript/bin/asc.js");
  const { status, stderr, error } = spawnSync(
    process.execPath,
    [compiler, ...entries, "-o", file, ...OPTIONS, ...options],
    { cwd: root, encoding: "utf8" },
  );
  if (error || status !== 0) throw new Error(`The kernels do not compile:\n${error?.message ?? stderr}`);
}

/** The worker and what it imports, in one text. */
async function workerProgram() {
  const { rolldown } = await import("rolldown");
  const bundle = await rolldown({
    input: join(root, "core/cpu/worker.ts"),
    external: ["node:worker_threads"],
    cwd: root,
  });
  const { output } = await bundle.generate({ format: "esm", minify: true });
  await bundle.close();
  return output[0].code;
}
