import type { Log } from "../http/log.ts";
import type { BatchEngine } from "./batch.ts";
import type { BatchStore } from "./batch_store.ts";
import type { BatchWork } from "./batch_work.ts";

/** Chunks at the same time, so that the model has work while one of them ends. */
export const CHUNKS_TOGETHER = 2;

/** Computes batches in this process alone, one after another, lines behind the requests of people. */
export class EmbeddedBatchEngine implements BatchEngine {
  readonly #work: BatchWork;
  readonly #batches: BatchStore;
  readonly #log: Log;
  readonly #queue: string[] = [];
  readonly #stop = new AbortController();
  #working: Promise<void> | undefined;

  constructor(work: BatchWork, batches: BatchStore, log: Log) {
    this.#work = work;
    this.#batches = batches;
    this.#log = log;
  }

  async start(): Promise<void> {
    for (const id of await this.#batches.unfinished()) this.submit(id);
  }

  submit(id: string): void {
    this.#queue.push(id);
    this.#working ??= this.#workOn().finally(() => {
      this.#working = undefined;
    });
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#working;
  }

  async #workOn(): Promise<void> {
    for (let id = this.#queue.shift(); id !== undefined; id = this.#queue.shift()) {
      if (this.#stop.signal.aborted) return;
      try {
        await this.#compute(id);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        const text = String(error).slice(0, 500);
        this.#log({ level: "error", event: "batch_interrupted", batch: id, error: text });
      }
    }
  }

  async #compute(id: string): Promise<void> {
    const plan = await this.#work.plan(id);
    if (!plan) return;
    const missing = await this.#work.missing(id, plan);
    const workOn = async () => {
      for (let chunk = missing.shift(); chunk !== undefined; chunk = missing.shift())
        await this.#work.computeChunk(id, chunk, this.#stop.signal);
    };
    if (missing.length === 0) return this.#work.finish(id);
    const done = await Promise.allSettled(Array.from({ length: CHUNKS_TOGETHER }, workOn));
    const broken = done.find((one) => one.status === "rejected");
    if (broken) throw broken.reason;
  }
}
