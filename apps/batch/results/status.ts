import { type ChunkTimes, timesFile } from "../chunk/run_chunk.ts";
import { CANCEL_FILE, missingChunks, type RunPlan } from "../plan/plan.ts";
import type { Storage } from "../storage/storage.ts";
import { readRows } from "./manifest.ts";

export interface RunStatus {
  readonly run: string;
  readonly state: "done" | "cancelled" | "unfinished";
  readonly chunks: { readonly total: number; readonly done: number };
  readonly images: { readonly total: number; readonly done: number; readonly errors: number };
  readonly errorCodes: Readonly<Record<string, number>>;
  /** When the last chunk ended; null before the first. */
  readonly imagesPerSecond: number | null;
  readonly secondsLeft: number | null;
  readonly workers: Readonly<Record<string, { readonly chunks: number; readonly images: number }>>;
}

/** The chunks that ended last tell the present speed. */
const RECENT = 100;

/** The state of a run, read from its files alone. */
export async function statusOf(storage: Storage, plan: RunPlan): Promise<RunStatus> {
  const missing = await missingChunks(storage, plan);
  let [done, errors] = [0, 0];
  const errorCodes: Record<string, number> = {};
  const times: ChunkTimes[] = [];
  for await (const { chunk, rows } of readRows(storage, plan)) {
    done += rows.length;
    for (const row of rows) {
      if (row.status !== "error") continue;
      errors++;
      errorCodes[row.error.code] = (errorCodes[row.error.code] ?? 0) + 1;
    }
    const own = await storage.read(timesFile(chunk, plan.chunks));
    if (own) times.push(JSON.parse(Buffer.from(own).toString("utf8")));
  }
  const workers: Record<string, { chunks: number; images: number }> = {};
  for (const { worker, rows } of times) {
    workers[worker] ??= { chunks: 0, images: 0 };
    workers[worker].chunks++;
    workers[worker].images += rows;
  }
  const imagesPerSecond = speedOf(times);
  const left = plan.items - done;
  return {
    run: plan.run,
    state: missing.length === 0 ? "done" : (await storage.has(CANCEL_FILE)) ? "cancelled" : "unfinished",
    chunks: { total: plan.chunks, done: plan.chunks - missing.length },
    images: { total: plan.items, done, errors },
    errorCodes,
    imagesPerSecond,
    secondsLeft: left === 0 ? 0 : imagesPerSecond ? left / imagesPerSecond : null,
    workers,
  };
}

/** Images of the last chunks over the time from the beginning of the first of them to the end of the last. */
function speedOf(times: readonly ChunkTimes[]): number | null {
  const last = [...times].sort((a, b) => a.ended - b.ended).slice(-RECENT);
  if (last.length === 0) return null;
  const seconds = (last.at(-1)!.ended - Math.min(...last.map(({ started }) => started))) / 1000;
  return seconds > 0 ? last.reduce((sum, { rows }) => sum + rows, 0) / seconds : null;
}
