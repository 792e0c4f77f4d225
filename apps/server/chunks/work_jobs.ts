import { setTimeout as wait } from "node:timers/promises";
import type { Job } from "bullmq";
import type { Florence2Error } from "florence2-webgpu";
import { connectQueue, hostOf, isRefusal, reasonOf, refusalOf } from "./queue.ts";

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
  /** Called when the server of the queue refuses user or password, which does not pass. */
  readonly onRefused?: (error: Florence2Error) => void;
}

export interface JobWorker {
  /** Takes no more jobs. Those at work may go on for so many milliseconds; then another worker has them at once. */
  close(milliseconds: number): Promise<void>;
}

const LOCK = 120_000;
/** A worker that dies with its job more often than this fails the job; an entry that kills containers needs 17 times. */
const MAX_STALLS = 20;
/** Milliseconds after which a job that is not for this worker is offered again, at most. */
const ELSEWHERE = 5000;
/** Milliseconds after which the same trouble is told again. */
const TELL_AGAIN = 60_000;
/** Milliseconds without an error after which the server of a queue counts as back. */
const AWAY = 5000;

/** Takes jobs from a queue until it is closed. */
export async function openJobWorker<Data>({
  url,
  name,
  worker: ownName,
  concurrency,
  run,
  lockDuration = LOCK,
  onTrouble,
  onRefused,
}: JobWorkerOptions<Data>): Promise<JobWorker> {
  const { bullmq, backend, connection } = await connectQueue(url);
  const giveUp = new AbortController();
  let [atWork, lastError, gaveUp] = [0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const process = async (job: Job<Data>, token?: string) => {
    atWork++;
    try {
      return await run(job.data, giveUp.signal);
    } catch (error) {
      if (error instanceof NotMine) {
        await job.moveToDelayed(Date.now() + Math.min(ELSEWHERE, lockDuration), token);
        throw new bullmq.DelayedError();
      }
      if (!giveUp.signal.aborted) throw error;
      await job.moveToWait(token);
      throw new bullmq.WaitingError();
    } finally {
      atWork--;
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
  const tellRarely = rarely((message) => onTrouble?.(message));
  worker.on("error", (error) => {
    lastError = Date.now();
    if (onRefused && isRefusal(error)) onRefused(refusalOf(url, error));
    else tellRarely(`the queue at ${hostOf(url)}: ${reasonOf(error)}`);
  });
  /** The server of the queue is away, and nothing is at work or can be given back. */
  const isStuck = () => lastError > Date.now() - AWAY && (atWork === 0 || Date.now() > gaveUp + AWAY);
  worker.on("failed", (job, error) => {
    const isMoved = error instanceof bullmq.WaitingError || error instanceof bullmq.DelayedError;
    if (!isMoved) onTrouble?.(error.message, job?.data);
  });
  return {
    async close(milliseconds) {
      const abort = () => {
        gaveUp = Date.now();
        giveUp.abort(new DOMException("stopped", "AbortError"));
      };
      const timer = milliseconds > 0 ? setTimeout(abort, milliseconds) : undefined;
      // Closed first: the same worker would take again what it gives back.
      let isClosed = false;
      const closed = worker.close().then(() => {
        isClosed = true;
      });
      if (!timer) abort();
      const untilStuck = async () => {
        while (!isClosed && !isStuck()) await wait(200);
      };
      await Promise.race([closed, untilStuck()]);
      clearTimeout(timer);
    },
  };
}

/** Tells the same message once a minute at most. */
export function rarely(tell: (message: string) => void): (message: string) => void {
  const told = new Map<string, number>();
  return (message) => {
    const now = Date.now();
    if ((told.get(message) ?? 0) > now - TELL_AGAIN) return;
    told.set(message, now);
    tell(message);
  };
}
