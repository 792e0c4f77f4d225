/** `platform.ts` for browsers, by the condition "browser" of package.json: nothing of Node is reachable from here. */
import type * as FileSystem from "node:fs/promises";
import { Florence2Error } from "./errors.ts";

/** Paths are addresses relative to the page. */
export const hasFileSystem = false;
export const isNode = false;

/** The browser's own WebGPU; `undefined` where it has none. */
export async function webgpu(): Promise<GPU | undefined> {
  return typeof navigator === "undefined" ? undefined : navigator.gpu;
}

/** @throws {Florence2Error} file_unreadable */
export async function fileSystem(): Promise<typeof FileSystem> {
  throw new Florence2Error("file_unreadable", "A browser has no file system. Give a URL or the content.");
}

/** @throws {Florence2Error} dependency_missing */
export async function importPackage(name: string): Promise<never> {
  throw new Florence2Error("dependency_missing", `The package ${name} runs in Node, Deno and Bun only.`, {
    package: name,
  });
}

/** How many threads this page may compute with. */
export async function availableThreads(): Promise<number> {
  return navigator.hardwareConcurrency || 1;
}

/** Browsers know relaxed SIMD or do not. */
export async function allowRelaxedSimd(): Promise<void> {}

/** Whether threads may share memory: only where the page is isolated from other origins. */
export const canShareMemory = () => globalThis.crossOriginIsolated === true;
