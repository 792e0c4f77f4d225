import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { BatchModel } from "../../chunk/compute.ts";
import { decodeRows } from "../../chunk/parts.ts";
import type { Row } from "../../chunk/rows.ts";
import { batch } from "../../commands/batch.ts";
import { partFile, readPlan } from "../../plan/plan.ts";
import { openStorage } from "../../storage/storage.ts";
import { fakeModel } from "./fake_model.ts";

export const newFolder = (): string => mkdtempSync(join(tmpdir(), "florence2-batch-"));

/** A folder with files by their names. */
export function folderOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = newFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

/** `count` images, named in the order of their numbers. */
export function images(count: number): string {
  const names = Array.from({ length: count }, (_, i) => `${String(i).padStart(5, "0")}.jpg`);
  return folderOf(Object.fromEntries(names.map((name) => [name, `image ${name}`])));
}

/** Runs a command line on a made-up model. */
export function run(args: readonly string[], model: BatchModel = fakeModel(), signal = never()) {
  return batch([...args, "--quiet"], signal, async () => model);
}

export const never = (): AbortSignal => new AbortController().signal;

/** Plans a run over a folder, in chunks of ten. */
export async function planned(input: string, more: readonly string[] = []): Promise<string> {
  const out = newFolder();
  await run(["plan", input, "--task", "CAPTION", "--out", out, "--chunk", "10", ...more]);
  return out;
}

/** All rows of a run, in order, and a hash of the bytes of all its parts. */
export async function resultsOf(out: string): Promise<{ rows: Row[]; sha256: string }> {
  const storage = openStorage(out);
  const plan = await readPlan(storage);
  const rows: Row[] = [];
  const hash = createHash("sha256");
  for (let chunk = 0; chunk < plan.chunks; chunk++) {
    const content = await storage.read(partFile(plan, chunk));
    if (!content) throw new Error(`chunk ${chunk} has no part`);
    hash.update(content);
    rows.push(...(await decodeRows(content, plan.format)));
  }
  return { rows, sha256: hash.digest("hex") };
}
