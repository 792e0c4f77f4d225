import { hostname } from "node:os";
import { chunkJob, withQueue } from "../chunks/queue.ts";
import { type JobWorker, NotMine, openJobWorker } from "../chunks/work_jobs.ts";
import type { Log } from "../http/log.ts";
import type { BatchEngine } from "./batch.ts";
import type { BatchStore } from "./batch_store.ts";
import type { BatchWork } from "./batch_work.ts";
import { CHUNKS_TOGETHER } from "./embedded_engine.ts";

/** All that a queue holds of a chunk: requests and answers never go there. */
export interface LinesJob {
  /** Folder with files and batches, as all servers and workers see it. */
  readonly dataDir: string;
  readonly batch: string;
  readonly chunk: number;
}

export const LINES_QUEUE = "florence2-server";

export interface QueuedEngineOptions {
  readonly work: BatchWork;
  readonly batches: BatchStore;
  readonly queue: string;
  readonly dataDir: string;
  /** In milliseconds. */
  readonly lockDuration: number;
  readonly log: Log;
}

/** Jobs that one call adds. */
const BULK = 1000;
/**
 * Between two looks for chunks that the queue has lost, or that another server did not come to put there, at most; no
 * longer than a dead worker stays unnoticed.
 */
const SWEEP_MILLISECONDS = 15_000;

/** Puts the chunks of batches into a queue that servers and workers share, and takes chunks from it. */
export class QueuedBatchEngine implements BatchEngine {
  readonly #options: QueuedEngineOptions;
  #worker: JobWorker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #adding: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: QueuedEngineOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { queue, dataDir, lockDuration, work, batches } = this.#options;
    this.#worker = await openJobWorker<LinesJob>({
      url: queue,
      name: LINES_QUEUE,
      worker: `${hostname()}-${process.pid}`,
      concurrency: CHUNKS_TOGETHER,
      lockDuration,
      onTrouble: (message, job) => this.#warn(message, job?.batch),
      async run({ dataDir: folder, batch, chunk }, signal) {
        const plan = folder === dataDir ? await batches.readPlan(batch) : undefined;
        if (folder !== dataDir || (plan && !work.isOwn(plan)))
          throw new NotMine(`${batch} is of a server with another --data-dir or model`);
        await work.computeChunk(batch, chunk, signal);
      },
    });
    const sweep = () => {
      if (!this.#isStopped) void this.#sweep();
    };
    sweep();
    this.#timer = setInterval(sweep, Math.min(SWEEP_MILLISECONDS, lockDuration));
    this.#timer.unref();
  }

  submit(id: string): void {
    this.#adding = this.#adding
      .then(() => this.#enqueue(id))
      .catch((error: unknown) => this.#warn(String(error), id));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await Promise.all([this.#worker?.close(0), this.#adding]);
  }

  /** Batches are told by their files alone: with an empty queue they go on as well. */
  async #sweep(): Promise<void> {
    await this.#adding;
    try {
      for (const id of await this.#options.batches.unfinished()) this.submit(id);
    } catch (error) {
      this.#warn(String(error));
    }
  }

  async #enqueue(id: string): Promise<void> {
    if (this.#isStopped) return;
    const { work, queue, dataDir } = this.#options;
    const plan = await work.plan(id);
    if (!plan) return;
    const missing = await work.missing(id, plan);
    if (missing.length === 0) return work.finish(id);
    await withQueue<LinesJob, void>(queue, LINES_QUEUE, async (open) => {
      for (const job of await open.getFailed()) if (job.data.batch === id) await job.retry();
      for (let from = 0; from < missing.length && !this.#isStopped; from += BULK) {
        const chunks = missing.slice(from, from + BULK);
        await open.addBulk(chunks.map((chunk) => chunkJob(`${id}-${chunk}`, { dataDir, batch: id, chunk })));
      }
    });
  }

  #warn(error: string, batch?: string): void {
    this.#options.log({ level: "warn", event: "batch_queue", batch, error: error.slice(0, 500) });
  }
}
