import { setTimeout as wait } from "node:timers/promises";
import type { Job, Queue } from "bullmq";
import { isFatal } from "../chunk/rows.ts";
import { CANCEL_FILE, type RunPlan, readPlan } from "../plan/plan.ts";
import { openStorage, type Storage } from "../storage/storage.ts";
import { type WorkOptions, workerName, workOn } from "../work/embedded.ts";
import { type ChunkJob, connect, enqueue, QUEUE_NAME, withQueue } from "./queue.ts";

export interface QueuedOptions extends WorkOptions {
  readonly queue: string;
  /** The worker ends when this run is done; without one it serves all runs until it is stopped. */
  readonly run?: { readonly storage: Storage; readonly plan: RunPlan };
  /** Milliseconds that a chunk may go on after the signal; then another worker has it. */
  readonly shutdownTimeout: number;
  /** Milliseconds after which the chunk of a dead worker is given to another one. */
  readonly lockDuration?: number;
  /** Called with what goes wrong and passes: the server of the queue is away, a chunk failed and is tried again. */
  readonly onTrouble?: (message: string) => void;
}

/** A worker that dies with its chunk more often than this fails the chunk; an image that kills needs three times. */
const MAX_STALLS = 6;
const POLL_MILLISECONDS = 1000;

/**
 * Takes chunks from the queue until the run is done, or for ever.
 *
 * @throws {Florence2Error} if the device fails; the signal's reason if it aborts, once the chunk at work is done or given back
 */
export async function workQueued(options: QueuedOptions): Promise<void> {
  const { signal, shutdownTimeout, lockDuration = 120_000, onTrouble, run } = options;
  const { bullmq, backend, connection } = await connect(options.queue);
  const giveUp = new AbortController();
  /** Aborts when the device fails: this worker ends, and another one has the chunk. */
  const broken = new AbortController();
  let failure: unknown;
  const end = AbortSignal.any([signal, broken.signal]);
  const plans = new Map<string, Promise<{ storage: Storage; plan: RunPlan }>>();
  const planOf = ({ out, run }: ChunkJob) => {
    const known =
      plans.get(run) ??
      (async () => {
        const storage = openStorage(out);
        return { storage, plan: await readPlan(storage) };
      })();
    plans.set(run, known);
    known.catch(() => plans.delete(run));
    return known;
  };
  const process = async (job: Job<ChunkJob>, token?: string) => {
    const { storage, plan } = await planOf(job.data);
    // The plan of another run has come into the folder meanwhile: nobody waits for this one.
    if (plan.run !== job.data.run) return { state: "replaced" };
    try {
      return await workOn(storage, plan, job.data.chunk, { ...options, signal: giveUp.signal });
    } catch (error) {
      if (isFatal(error)) {
        failure = error;
        broken.abort();
      }
      if (!giveUp.signal.aborted) throw error;
      await job.moveToWait(token);
      throw new bullmq.WaitingError();
    }
  };
  const worker = new bullmq.Worker<ChunkJob>(
    QUEUE_NAME,
    process,
    {
      connection: connection(true),
      name: workerName(),
      concurrency: 1,
      lockDuration,
      stalledInterval: Math.min(30_000, lockDuration),
      maxStalledCount: MAX_STALLS,
    },
    backend,
  );
  worker.on("error", (error) => onTrouble?.(error.message));
  worker.on("failed", (job, error) => {
    if (!(error instanceof bullmq.WaitingError)) onTrouble?.(`chunk ${job?.data.chunk}: ${error.message}`);
  });
  try {
    await (run ? untilDone(options.queue, run, end, onTrouble) : untilAborted(end));
  } finally {
    const timer = setTimeout(() => giveUp.abort(new DOMException("stopped", "AbortError")), shutdownTimeout);
    await worker.close();
    clearTimeout(timer);
  }
  if (failure) throw failure;
  signal.throwIfAborted();
}

/**
 * Waits for the last part. The queue is asked first, since to list the parts of a large run is dear; one that has lost
 * the run, such as one that was flushed, is filled again.
 */
async function untilDone(
  url: string,
  { storage, plan }: NonNullable<QueuedOptions["run"]>,
  signal: AbortSignal,
  onTrouble?: (message: string) => void,
): Promise<void> {
  // Many workers that wait for one run do not ask all at once.
  const pause = () => {
    const milliseconds = POLL_MILLISECONDS * (0.5 + Math.random());
    return wait(milliseconds, undefined, { signal }).catch(() => {});
  };
  const isIdle = async (queue: Queue<ChunkJob>) => {
    const counts = await queue.getJobCounts("waiting", "active", "delayed", "prioritized");
    return Object.values(counts).every((count) => count === 0);
  };
  const watch = async (queue: Queue<ChunkJob>) => {
    while (!signal.aborted) {
      if (await isIdle(queue)) {
        if (await storage.has(CANCEL_FILE)) return;
        await pause();
        if ((await isIdle(queue)) && (await enqueue(queue, storage, plan)) === 0) return;
      }
      await pause();
    }
  };
  for (let isWatched = false; !isWatched && !signal.aborted; ) {
    try {
      await withQueue(url, watch);
      isWatched = true;
    } catch (error) {
      onTrouble?.((error as Error).message);
      await pause();
    }
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
