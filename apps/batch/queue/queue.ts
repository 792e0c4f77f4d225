/** The queue of chunks of runs. */
import type { Queue } from "bullmq";
import { chunkJob, withQueue } from "florence2-server/chunks";
import { missingChunks, type RunPlan } from "../plan/plan.ts";
import type { Storage } from "../storage/storage.ts";

/** All that a queue holds of a chunk: images and answers never go there. */
export interface ChunkJob {
  readonly run: string;
  /** Where the run is. */
  readonly out: string;
  readonly chunk: number;
}

export const QUEUE_NAME = "florence2-batch";

export interface QueueOptions {
  /** Jobs that wait at most; more are added as workers take them. */
  readonly ahead?: number;
  readonly priority?: number;
  readonly signal?: AbortSignal;
}

/** Jobs that one call adds. */
const BULK = 1000;
const POLL_MILLISECONDS = 1000;

/** Opens the queue of the server at a URL for a while. */
export const withChunks = <Value>(url: string, use: (queue: Queue<ChunkJob>) => Promise<Value>) =>
  withQueue<ChunkJob, Value>(url, QUEUE_NAME, use);

/**
 * Puts into the queue what a run lacks; what waits there already stays as it is, and what has failed is tried again.
 *
 * @returns how many chunks the run lacks
 */
export async function enqueue(
  queue: Queue<ChunkJob>,
  storage: Storage,
  plan: RunPlan,
  { ahead = Number.POSITIVE_INFINITY, priority, signal }: QueueOptions = {},
): Promise<number> {
  for (const job of await queue.getFailed()) if (job.data.run === plan.run) await job.retry();
  const missing = await missingChunks(storage, plan);
  for (let from = 0; from < missing.length; from += BULK) {
    while ((await queue.count()) >= ahead) {
      signal?.throwIfAborted();
      await new Promise((wake) => setTimeout(wake, POLL_MILLISECONDS));
    }
    await queue.addBulk(
      missing
        .slice(from, from + BULK)
        .map((chunk) => chunkJob(jobIdOf(plan, chunk), { run: plan.run, out: storage.url, chunk }, priority)),
    );
  }
  return missing.length;
}

/** Takes the waiting chunks of a run out of the queue; those at work end by themselves. */
export async function dequeue(queue: Queue<ChunkJob>, plan: RunPlan): Promise<void> {
  for (let chunk = 0; chunk < plan.chunks; chunk++) await queue.remove(jobIdOf(plan, chunk)).catch(() => {});
}

const jobIdOf = ({ run }: RunPlan, chunk: number) => `${run.slice(0, 32)}-${chunk}`;
