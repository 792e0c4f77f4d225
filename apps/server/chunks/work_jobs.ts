import type { Job } from "bullmq";
import { connectQueue } from "./queue.ts";

/** Thrown for a job that another worker must do. */
export class NotMine extends Error {}

export interface JobWorkerOptions<Data> {
  /** Of the server of the queue. */
  readonly url: string;
  /** Of the queue. */
  readonly name: string;
  /** Names this worker in dashboards. */
  readonly worker: string;
  /** Jobs at the same time. */
  readonly concurrency: number;
  /** Does a job. Its signal aborts when the job is to be given back. */
  readonly run: (data: Data, signal: AbortSignal) => Promise<unknown>;
  /** Milliseconds of silence after which a worker counts as dead, and its job is given to another one. */
  readonly lockDuration?: number;
  /** Called with what goes wrong and passes: the server of the queue is away, a job failed and is tried again. */
  readonly onTrouble?: (message: string, data?: Data) => void;
}

export interface JobWorker {
  /** Takes no more jobs. Those at work may go on for so many milliseconds; then another worker has them at once. */
  close(milliseconds: number): Promise<void>;
}

const LOCK = 120_000;
/** A worker that dies with its job more often than this fails the job; an entry that kills needs four times. */
const MAX_STALLS = 6;
/** Milliseconds after which a job that is not for this worker is offered again. */
const ELSEWHERE = 5000;

/** Takes jobs from a queue until it is closed. */
export async function openJobWorker<Data>({
  url,
  name,
  worker: ownName,
  concurrency,
  run,
  lockDuration = LOCK,
  onTrouble,
}: JobWorkerOptions<Data>): Promise<JobWorker> {
  const { bullmq, backend, connection } = await connectQueue(url);
  const giveUp = new AbortController();
  const process = async (job: Job<Data>, token?: string) => {
    try {
      return await run(job.data, giveUp.signal);
    } catch (error) {
      if (error instanceof NotMine) {
        await job.moveToDelayed(Date.now() + ELSEWHERE, token);
        throw new bullmq.DelayedError();
      }
      if (!giveUp.signal.aborted) throw error;
      await job.moveToWait(token);
      throw new bullmq.WaitingError();
    }
  };
  const worker = new bullmq.Worker<Data>(
    name,
    process,
    {
      connection: connection(true),
      name: ownName,
      concurrency,
      lockDuration,
      stalledInterval: Math.min(30_000, lockDuration),
      maxStalledCount: MAX_STALLS,
    },
    backend,
  );
  worker.on("error", (error) => onTrouble?.(error.message));
  worker.on("failed", (job, error) => {
    const isMoved = error instanceof bullmq.WaitingError || error instanceof bullmq.DelayedError;
    if (!isMoved) onTrouble?.(error.message, job?.data);
  });
  return {
    async close(milliseconds) {
      const abort = () => giveUp.abort(new DOMException("stopped", "AbortError"));
      const timer = milliseconds > 0 ? setTimeout(abort, milliseconds) : undefined;
      // Closed first: the same worker would take again what it gives back.
      const closed = worker.close();
      if (!timer) abort();
      await closed;
      clearTimeout(timer);
    },
  };
}
