import { setTimeout as wait } from "node:timers/promises";
import type { Queue } from "bullmq";
import { LINES_QUEUE, type LinesJob } from "florence2-server/batches";
import { openJobWorker, rarely } from "florence2-server/chunks";
import { isFatal } from "../chunk/rows.ts";
import { CANCEL_FILE, missingChunks, type RunPlan, readPlan } from "../plan/plan.ts";
import { openStorage, type Storage } from "../storage/storage.ts";
import { type WorkOptions, workerName, workOn } from "../work/embedded.ts";
import { Turns } from "../work/turns.ts";
import { type ChunkJob, enqueue, QUEUE_NAME, withChunks } from "./queue.ts";

export interface QueuedOptions extends WorkOptions {
  readonly queue: string;
  /** The worker ends when this run is done; without one it serves all runs and all servers until it is stopped. */
  readonly run?: { readonly storage: Storage; readonly plan: RunPlan };
  /** Computes a chunk of a batch of florence2-server. */
  readonly lines: (job: LinesJob, signal: AbortSignal) => Promise<void>;
  /** Milliseconds that a chunk may go on after the signal; then another worker has it. */
  readonly shutdownTimeout: number;
  /** Milliseconds after which the chunk of a dead worker is given to another one. */
  readonly lockDuration?: number;
  /** Called with what goes wrong and passes: the server of the queue is away, a chunk failed and is tried again. */
  readonly onTrouble?: (message: string) => void;
}

const POLL_MILLISECONDS = 1000;

/**
 * Takes chunks from the queue until the run is done, or for ever.
 *
 * @throws {Florence2Error} if the device fails; `access_denied` if the queue refuses user or password; the signal's
 *   reason if it aborts, once the chunk at work is done or given back
 */
export async function workQueued(options: QueuedOptions): Promise<void> {
  const { queue: url, signal, shutdownTimeout, lockDuration, onTrouble, run, lines } = options;
  /** Aborts when the device fails, or the queue refuses: this worker ends, and another one has the chunk. */
  const broken = new AbortController();
  let failure: unknown;
  const end = AbortSignal.any([signal, broken.signal]);
  const planOf = planReader();
  const turns = new Turns();
  const endWith = (error: unknown) => {
    failure ??= error;
    broken.abort();
  };
  const common = { url, worker: workerName(), concurrency: 1, lockDuration, onRefused: endWith };
  const chunks = await openJobWorker<ChunkJob>({
    ...common,
    name: QUEUE_NAME,
    onTrouble: (message, job) => onTrouble?.(job ? `chunk ${job.chunk}: ${message}` : message),
    run: (job, stop) =>
      turns.take(stop, async () => {
        const { storage, plan } = await planOf(job);
        // The plan of another run has come into the folder meanwhile: nobody waits for this one.
        if (plan.run !== job.run) return;
        try {
          await workOn(storage, plan, job.chunk, { ...options, signal: stop });
        } catch (error) {
          if (isFatal(error)) endWith(error);
          throw error;
        }
      }),
  });
  const requests = run
    ? undefined
    : await openJobWorker<LinesJob>({
        ...common,
        name: LINES_QUEUE,
        onTrouble: (message, job) => onTrouble?.(job ? `${job.batch}: ${message}` : message),
        run: (job, stop) => turns.take(stop, () => lines(job, stop)),
      });
  try {
    await (run ? untilDone(url, run, end, onTrouble) : untilAborted(end));
  } finally {
    const time = broken.signal.aborted ? 0 : shutdownTimeout;
    await Promise.all([chunks.close(time), requests?.close(time)]);
  }
  if (failure) throw failure;
  signal.throwIfAborted();
}

/** Reads the plan of each run once. */
function planReader() {
  const plans = new Map<string, Promise<{ storage: Storage; plan: RunPlan }>>();
  return ({ out, run }: ChunkJob) => {
    const read = async () => {
      const storage = openStorage(out);
      return { storage, plan: await readPlan(storage) };
    };
    const known = plans.get(run) ?? read();
    plans.set(run, known);
    known.catch(() => plans.delete(run));
    return known;
  };
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
        if ((await storage.has(CANCEL_FILE)) || (await missingChunks(storage, plan)).length === 0) return;
        await pause();
        if ((await isIdle(queue)) && (await enqueue(queue, storage, plan)) === 0) return;
      }
      await pause();
    }
  };
  const tell = rarely((message) => onTrouble?.(message));
  for (let isWatched = false; !isWatched && !signal.aborted; ) {
    try {
      await Promise.race([withChunks(url, watch), untilAborted(signal)]);
      isWatched = true;
    } catch (error) {
      tell((error as Error).message);
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
