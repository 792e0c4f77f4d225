import { hostname } from "node:os";
import type { BatchModel, LoadItem, Probe } from "../chunk/compute.ts";
import type { Row } from "../chunk/rows.ts";
import { type ChunkEnd, runChunk } from "../chunk/run_chunk.ts";
import { missingChunks, type RunPlan } from "../plan/plan.ts";
import type { Storage } from "../storage/storage.ts";

/** The options that all kinds of workers share. */
export interface WorkOptions {
  readonly load: LoadItem;
  readonly model: (plan: RunPlan, signal: AbortSignal) => Promise<BatchModel>;
  readonly probe: (storage: Storage, chunk: number) => Probe;
  readonly signal: AbortSignal;
  readonly onRows?: (rows: readonly Row[], plan: RunPlan) => void;
  readonly onChunk?: (end: ChunkEnd, plan: RunPlan) => void;
}

/** This process among workers. */
export const workerName = (): string => `${hostname()}-${process.pid}`;

/**
 * Computes the missing chunks of a run on this machine, without a queue.
 *
 * @returns whether the run was cancelled
 * @throws the signal's reason if it aborts; finished chunks stay
 */
export async function workEmbedded(storage: Storage, plan: RunPlan, options: WorkOptions): Promise<boolean> {
  for (const chunk of await missingChunks(storage, plan)) {
    options.signal.throwIfAborted();
    const end = await workOn(storage, plan, chunk, options);
    if (end.state === "cancelled") return true;
  }
  return false;
}

export async function workOn(
  storage: Storage,
  plan: RunPlan,
  chunk: number,
  { load, model, probe, signal, onRows, onChunk }: WorkOptions,
): Promise<ChunkEnd> {
  const end = await runChunk(chunk, {
    storage,
    plan,
    load,
    signal,
    model: () => model(plan, signal),
    probe: probe(storage, chunk),
    worker: workerName(),
    onRows: (rows) => onRows?.(rows, plan),
  });
  onChunk?.(end, plan);
  return end;
}
