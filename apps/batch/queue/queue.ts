/** The queue of chunks: BullMQ on Redis (or Valkey), or on PostgreSQL. Both are loaded when they are used. */
import type { BackendFactory, ConnectionOptions, IQueueBackend, Queue, Worker } from "bullmq";
import { Florence2Error } from "florence2-webgpu";
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
const ATTEMPTS = 5;
const POLL_MILLISECONDS = 1000;

interface Connected {
  readonly bullmq: typeof import("bullmq");
  /** Undefined stands for Redis. */
  readonly backend: undefined;
  connection(waits: boolean): ConnectionOptions;
}

/** The parts of BullMQ, and how it reaches the server at a URL. */
export async function connect(url: string): Promise<Connected> {
  const bullmq = await import("bullmq").catch((error: unknown) => {
    throw missing("bullmq and ioredis (or pg)", error);
  });
  const isPostgres = /^postgres(ql)?:/i.test(url);
  if (!isPostgres && !/^rediss?:/i.test(url)) {
    const message = `--queue is ${url}, expected redis://, rediss:// or postgres://.`;
    throw new Florence2Error("option_invalid", message, { queue: url });
  }
  const backend = isPostgres
    ? (bullmq.createPostgresBackend as unknown as BackendFactory<IQueueBackend>)
    : undefined;
  /** Producers fail at once where a worker waits for the server to come back. */
  const connection = (waits: boolean): ConnectionOptions =>
    (isPostgres
      ? { connectionString: url, migrate: true }
      : {
          url,
          ...(waits ? { maxRetriesPerRequest: null } : { maxRetriesPerRequest: 3 }),
        }) as ConnectionOptions;
  return { bullmq, backend: backend as undefined, connection };
}

/** Opens the queue for a while. */
export async function withQueue<Value>(
  url: string,
  use: (queue: Queue<ChunkJob>) => Promise<Value>,
): Promise<Value> {
  const { bullmq, backend, connection } = await connect(url);
  const options = { connection: connection(false), streams: { events: { maxLen: 100 } } };
  const queue = new bullmq.Queue<ChunkJob>(QUEUE_NAME, options, backend);
  let refused: unknown;
  queue.on("error", (error) => {
    refused = error;
  });
  try {
    return await use(queue);
  } catch (error) {
    if (error instanceof Florence2Error || !refused) throw error;
    const message = `The queue at ${hostOf(url)} cannot be used: ${(refused as Error).message}`;
    throw new Florence2Error("download_failed", message, { queue: hostOf(url) }, error);
  } finally {
    await queue.close().catch(() => {});
  }
}

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
      missing.slice(from, from + BULK).map((chunk) => ({
        name: "chunk",
        data: { run: plan.run, out: storage.url, chunk },
        opts: {
          jobId: jobIdOf(plan, chunk),
          attempts: ATTEMPTS,
          backoff: { type: "exponential", delay: 5000, jitter: 0.5 },
          // What is done is told by the parts; a job that stays would keep its chunk from being added again.
          removeOnComplete: true,
          keepLogs: 0,
          ...(priority !== undefined && { priority }),
        },
      })),
    );
  }
  return missing.length;
}

/** Takes the waiting chunks of a run out of the queue; those at work end by themselves. */
export async function dequeue(queue: Queue<ChunkJob>, plan: RunPlan): Promise<void> {
  for (let chunk = 0; chunk < plan.chunks; chunk++) await queue.remove(jobIdOf(plan, chunk)).catch(() => {});
}

const jobIdOf = ({ run }: RunPlan, chunk: number) => `${run.slice(0, 32)}-${chunk}`;

/** Without user and password. */
export const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : "the given URL");

function missing(names: string, cause: unknown): Florence2Error {
  const message = `--queue needs the packages ${names}: npm install bullmq ioredis`;
  return new Florence2Error("dependency_missing", message, {}, cause);
}

export type ChunkWorker = Worker<ChunkJob>;
