import { Florence2Error } from "./errors.ts";

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

async function nodeWebgpu(): Promise<GPU> {
  try {
    const { create } = await import("webgpu");
    return create([
      "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia",
      // Else timestamps come in steps of 65 microseconds.
      "disable-dawn-features=timestamp_quantization",
    ]);
  } catch (cause) {
    throw new Florence2Error(
      "dependency_missing",
      "The package webgpu, which brings WebGPU to Node, can't be loaded: npm install webgpu",
      { package: "webgpu" },
      cause,
    );
  }
}

/** The text of a file that ships with the library, such as a shader. */
export async function readShippedText(url: URL): Promise<string> {
  if (isNode && url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises");
    return readFile(url, "utf8");
  }
  const response = await fetch(url);
  if (!response.ok) {
    throw new Florence2Error("file_not_found", `${url.pathname}: ${response.status} ${response.statusText}`);
  }
  return response.text();
}
