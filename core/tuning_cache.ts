/**
 * What was tuned, kept between runs by adapter: in files below FLORENCE2_CACHE (default: florence2-webgpu in
 * XDG_CACHE_HOME or ~/.cache), in browsers in localStorage. What is broken or of another form is as if it were not
 * there.
 */
import { hasFileSystem } from "./platform.ts";
import type { Tuning } from "./tuner.ts";

/** Counts up when keys or labels change their meaning. */
const FORM = 1;

interface Kept {
  readonly form: typeof FORM;
  readonly adapter: string;
  readonly choices: Readonly<Record<string, string>>;
}

/** @param adapter as its driver describes it */
export async function readTuning(adapter: string): Promise<Tuning> {
  try {
    const { form, adapter: of, choices } = JSON.parse(await read(adapter)) as Kept;
    const labels = Object.entries(choices);
    const isOurs = form === FORM && of === adapter && labels.every(([, label]) => typeof label === "string");
    return new Map(isOurs ? labels : []);
  } catch {
    return new Map();
  }
}

/** Replaces what was kept for this adapter, all at once. Rejects if nothing can be kept here. */
export async function writeTuning(adapter: string, tuning: Tuning): Promise<void> {
  const kept: Kept = { form: FORM, adapter, choices: Object.fromEntries([...tuning].sort()) };
  const text = `${JSON.stringify(kept, null, 2)}\n`;
  if (!hasFileSystem) {
    localStorage.setItem(storageKey(adapter), text);
    return;
  }
  const { mkdir, rename, rm, writeFile } = await import("node:fs/promises");
  const { dirname } = await import("node:path");
  const path = await pathOf(adapter);
  const unfinished = `${path}.${process.pid}.part`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(unfinished, text);
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {});
    throw error;
  }
}

async function read(adapter: string): Promise<string> {
  if (!hasFileSystem) return localStorage.getItem(storageKey(adapter)) ?? "";
  const { readFile } = await import("node:fs/promises");
  return readFile(await pathOf(adapter), "utf8");
}

const storageKey = (adapter: string) => `florence2-webgpu tuning ${adapter}`;

async function pathOf(adapter: string): Promise<string> {
  const { homedir } = await import("node:os");
  const { join } = await import("node:path");
  const { FLORENCE2_CACHE, XDG_CACHE_HOME } = process.env;
  const folder = FLORENCE2_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "florence2-webgpu");
  const name = adapter
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 100);
  return join(folder, "tuning", `${name}.json`);
}
