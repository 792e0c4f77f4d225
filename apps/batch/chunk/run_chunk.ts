import { tmpdir } from "node:os";
import { join } from "node:path";
import { Checkpoint } from "florence2-server/chunks";
import { CANCEL_FILE, type Item, partFile, partStem, type RunPlan, readChunk } from "../plan/plan.ts";
import type { Storage } from "../storage/storage.ts";
import { type BatchModel, computeChunk, type LoadItem, type Probe } from "./compute.ts";
import { leftOf } from "./left.ts";
import { decodeRows, encodeRows } from "./parts.ts";
import type { Row } from "./rows.ts";

export interface ChunkOptions {
  readonly storage: Storage;
  readonly plan: RunPlan;
  readonly load: LoadItem;
  /** Called when there is something to compute. */
  readonly model: () => Promise<BatchModel>;
  readonly probe: Probe;
  readonly signal: AbortSignal;
  /** Names the worker in the side file of times. */
  readonly worker: string;
  readonly onRows?: (rows: readonly Row[]) => void;
}

export type ChunkEnd =
  | { readonly state: "done"; readonly rows: number; readonly errors: number }
  /** Its results were there before, or came from another worker meanwhile. */
  | { readonly state: "there" }
  | { readonly state: "cancelled" };

/** What is known of the work on a chunk; beside the results, which hold no times. */
export interface ChunkTimes {
  readonly worker: string;
  readonly rows: number;
  readonly errors: number;
  /** In milliseconds since 1970. */
  readonly started: number;
  readonly ended: number;
}

/** `timesFile(42, 781)` → times/part-00042-of-00781.json */
export const timesFile = (chunk: number, chunks: number): string => `times/${partStem(chunk, chunks)}.json`;

/** Rows of a part that was taken back because of its errors. */
export const keptFile = (chunk: number, chunks: number): string => `kept/${partStem(chunk, chunks)}.jsonl`;

/**
 * Computes one chunk, and writes its part. Any number of workers may do so at any time: the first part stays, and the
 * others are the same.
 */
export async function runChunk(chunk: number, options: ChunkOptions): Promise<ChunkEnd> {
  const { storage, plan } = options;
  const name = partFile(plan, chunk);
  if (await storage.has(CANCEL_FILE)) return { state: "cancelled" };
  const items = await readChunk(storage, plan, chunk);
  if (await storage.has(name)) return { state: "there" };
  const checkpoint = new Checkpoint<Row>(checkpointPath(storage, plan, chunk));
  await takeKept(storage, plan, chunk, items, checkpoint);
  // The loading of the model is no part of a chunk's time.
  if (leftOf(checkpoint, items.length).calls.length > 0) await options.model();
  const started = Date.now();
  const rows = await computeChunk(plan, items, { ...options, checkpoint });
  const isNew = await storage.create(name, await encodeRows(rows, plan.format));
  const errors = rows.filter(({ status }) => status === "error").length;
  if (isNew) {
    const times: ChunkTimes = {
      worker: options.worker,
      rows: rows.length,
      errors,
      started,
      ended: Date.now(),
    };
    await storage.replace(timesFile(chunk, plan.chunks), Buffer.from(JSON.stringify(times)));
  }
  checkpoint.remove();
  await storage.remove(keptFile(chunk, plan.chunks));
  return isNew ? { state: "done", rows: rows.length, errors } : { state: "there" };
}

/** Beside the results if these are in a folder, else on this machine. */
function checkpointPath({ folder }: Storage, { run, chunks }: RunPlan, chunk: number): string {
  const own = folder === undefined ? join(tmpdir(), "florence2-batch", run) : join(folder, "partial");
  return join(own, `${partStem(chunk, chunks)}.jsonl`);
}

async function takeKept(
  storage: Storage,
  { chunks }: RunPlan,
  chunk: number,
  items: readonly Item[],
  checkpoint: Checkpoint<Row>,
): Promise<void> {
  const kept = await storage.read(keptFile(chunk, chunks));
  if (!kept) return;
  const rows = new Map((await decodeRows(kept, "jsonl")).map((row) => [row.key, row]));
  for (const [index, { key }] of items.entries()) {
    const row = rows.get(key);
    if (row) checkpoint.rows.set(index, row);
  }
}
