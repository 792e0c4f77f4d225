import { createHash } from "node:crypto";
import { Florence2Error } from "florence2-webgpu";
import { decodeRows, encodeRows } from "../chunk/parts.ts";
import type { Row } from "../chunk/rows.ts";
import { keptFile } from "../chunk/run_chunk.ts";
import { missingChunks, partFile, type RunPlan } from "../plan/plan.ts";
import type { Storage } from "../storage/storage.ts";

export const MANIFEST_FILE = "manifest.json";
const SUCCESS_FILE = "_SUCCESS";

export interface Manifest {
  readonly run: string;
  readonly parts: readonly {
    readonly name: string;
    readonly rows: number;
    readonly errors: number;
    readonly bytes: number;
    readonly sha256: string;
  }[];
  readonly totals: { readonly rows: number; readonly errors: number; readonly bytes: number };
}

/** The rows of the parts that are there, in the order of keys. */
export async function* readRows(
  storage: Storage,
  plan: RunPlan,
): AsyncGenerator<{ readonly chunk: number; readonly content: Uint8Array; readonly rows: readonly Row[] }> {
  const missing = new Set(await missingChunks(storage, plan));
  for (let chunk = 0; chunk < plan.chunks; chunk++) {
    if (missing.has(chunk)) continue;
    const content = await storage.read(partFile(plan, chunk));
    if (content) yield { chunk, content, rows: await decodeRows(content, plan.format) };
  }
}

/**
 * Writes `manifest.json` and `_SUCCESS` once every chunk has its part. Undefined if some have none.
 *
 * @throws {Florence2Error} `data_invalid` if a part has other rows than its chunk
 */
export async function finishRun(storage: Storage, plan: RunPlan): Promise<Manifest | undefined> {
  if ((await missingChunks(storage, plan)).length > 0) return undefined;
  const parts: Manifest["parts"][number][] = [];
  for await (const { chunk, content, rows } of readRows(storage, plan)) {
    const name = partFile(plan, chunk);
    const expected = Math.min(plan.chunkSize, plan.items - chunk * plan.chunkSize);
    if (rows.length !== expected) {
      const message = `${storage.url}/${name} has ${rows.length} rows, expected ${expected}: remove it, then florence2-batch resume computes it again.`;
      throw new Florence2Error("data_invalid", message, { name, rows: rows.length, expected });
    }
    const errors = rows.filter(({ status }) => status === "error").length;
    const sha256 = createHash("sha256").update(content).digest("hex");
    parts.push({ name, rows: rows.length, errors, bytes: content.length, sha256 });
  }
  const sum = (field: "rows" | "errors" | "bytes") => parts.reduce((total, part) => total + part[field], 0);
  const totals = { rows: sum("rows"), errors: sum("errors"), bytes: sum("bytes") };
  const manifest: Manifest = { run: plan.run, parts, totals };
  await storage.replace(MANIFEST_FILE, Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));
  await storage.replace(SUCCESS_FILE, new Uint8Array());
  return manifest;
}

/**
 * Takes back the parts that have errors, and keeps their good rows: then only images at fault are computed again.
 *
 * @returns how many images
 */
export async function retryErrors(storage: Storage, plan: RunPlan): Promise<number> {
  let count = 0;
  for await (const { chunk, rows } of readRows(storage, plan)) {
    const good = rows.filter(({ status }) => status === "ok");
    if (good.length === rows.length) continue;
    if (count === 0) for (const name of [SUCCESS_FILE, MANIFEST_FILE]) await storage.remove(name);
    count += rows.length - good.length;
    await storage.replace(keptFile(chunk, plan.chunks), await encodeRows(good, "jsonl"));
    await storage.remove(partFile(plan, chunk));
  }
  return count;
}
