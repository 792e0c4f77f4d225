/** What differs between runtimes. Browsers get `platform.browser.ts`, by the condition "browser" of package.json. */
import { Florence2Error, messageOf } from "./errors.ts";

/** True in Node, Deno and the like: paths are files there, and node:fs can be imported. */
export const hasFileSystem = typeof process === "object" && process.versions?.node !== undefined;

/** True in Node and in runtimes that imitate it, where built-in modules can be imported by name. */
export const isNode = hasFileSystem && !("Deno" in globalThis);

// Dawn ends the process when the garbage collector takes the instance before the device.
const instances: GPU[] = [];

/**
 * The way into WebGPU: the runtime's own (Deno, browsers), else the optional package `webgpu` in Node.
 * `undefined` where there is none.
 */
export async function webgpu(): Promise<GPU | undefined> {
  if (typeof navigator !== "undefined" && navigator.gpu) return navigator.gpu;
  if (!isNode) return undefined;
  instances[0] ??= await nodeWebgpu();
  return instances[0];
}

/** Files of this machine; not by `import`, which bundlers for other platforms would follow. */
export async function fileSystem() {
  return process.getBuiltinModule("node:fs/promises");
}

/**
 * An optional package with native code. Bundlers do not see its name: they cannot bundle such a package, and it is
 * found at run time where it is installed.
 *
 * @throws {Florence2Error} dependency_missing
 */
export async function importPackage<Package>(name: string): Promise<Package> {
  try {
    return await import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ name);
  } catch (cause) {
    const [reason] = messageOf(cause).split("\n");
    const message = `The package ${name} cannot be loaded (${reason}). Install it with: npm install ${name}`;
    throw new Florence2Error("dependency_missing", message, { package: name }, cause);
  }
}

async function nodeWebgpu(): Promise<GPU> {
  const { create } = await importPackage<typeof import("webgpu")>("webgpu");
  try {
    return create([
      "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia",
      // Else timestamps come in steps of 65 microseconds.
      "disable-dawn-features=timestamp_quantization",
    ]);
  } catch (cause) {
    const message = "The package webgpu is installed and does not start: see the cause.";
    throw new Florence2Error("dependency_missing", message, { package: "webgpu" }, cause);
  }
}

/** How many threads this process may compute with: the processors, or those that its container may use. */
export async function availableThreads(): Promise<number> {
  const processors = process.getBuiltinModule("node:os").availableParallelism();
  // Deno would ask for the permission to read there.
  return isNode ? Math.min(processors, Math.ceil(await processorQuota())) : processors;
}

/** Where Linux keeps microseconds of computing for each period, and the period: cgroup v2, then v1. */
const QUOTAS = [
  ["/sys/fs/cgroup/cpu.max"],
  ["/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"],
];

/** How many processors the time of a container amounts to, such as 1.5 after "docker run --cpus 1.5". */
async function processorQuota(): Promise<number> {
  const { readFile } = await fileSystem();
  for (const files of QUOTAS) {
    const texts = await Promise.all(files.map((file) => readFile(file, "utf8").catch(() => "")));
    const [quota = 0, period = 0] = texts.join(" ").trim().split(/\s+/).map(Number);
    if (quota > 0 && period > 0) return quota / period;
  }
  return Number.POSITIVE_INFINITY;
}

/** Node 20 has relaxed SIMD behind a flag. Later versions have it without, and warn of the flag. */
export async function allowRelaxedSimd(): Promise<void> {
  if (!isNode || !process.versions.node.startsWith("20.")) return;
  process.getBuiltinModule("node:v8").setFlagsFromString("--experimental-wasm-relaxed-simd");
}

/** Whether threads may share memory. */
export const canShareMemory = () => typeof SharedArrayBuffer === "function";
