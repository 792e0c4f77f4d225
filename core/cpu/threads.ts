import { Florence2Error } from "../errors.ts";
import type { CompiledKernels } from "./compiled_kernels.ts";
import {
  type CallTime,
  CONTROL,
  type CompiledCall,
  type FromWorker,
  type Thread,
  type ToWorker,
} from "./protocol.ts";
import { startThread } from "./start_thread.ts";

/** What runs compiled calls. */
export interface Executor {
  /** Keeps a list of calls, to be run as often as wanted. */
  keep(calls: readonly CompiledCall[]): CallList;
  /** Ends its threads. Runs in flight fail. */
  dispose(): void;
}

export type OnTimes = (times: readonly CallTime[]) => void;

export interface CallList {
  /**
   * Runs all calls, in order, `times` times over.
   *
   * @param scratch where their scratch memory begins
   * @param onTimes told how long each call took
   * @throws {Florence2Error} `cpu_failed` if a thread dies or a kernel traps; the signal's reason when it aborts, which
   *   takes effect between calls
   */
  run(times: number, scratch: number, signal?: AbortSignal, onTimes?: OnTimes): Promise<void>;
  forget(): void;
}

/** Threads with a part of the memory for each; all see the same memory. */
export class Threads implements Executor {
  readonly #threads: Thread[] = [];
  readonly #control = new Int32Array(new SharedArrayBuffer(64));
  #nextId = 0;
  #runs = 0;
  #failure: Florence2Error | undefined;
  /** Settles the run in flight, or the start of all threads. */
  #waiting:
    | {
        readonly messages: FromWorker[];
        resolve(times: readonly CallTime[]): void;
        reject(error: Error): void;
      }
    | undefined;

  /** @param locals where each thread's own memory begins: there are as many threads */
  static async open(
    { module }: CompiledKernels,
    memory: WebAssembly.Memory,
    locals: readonly number[],
  ): Promise<Threads> {
    const { worker } = await import("./compiled.js");
    const threads = new Threads();
    try {
      for (const local of locals) {
        const thread = await startThread(worker, {
          onMessage: (message) => threads.#onMessage(message),
          onEnd: (reason) => threads.#fail(reason),
        });
        threads.#threads.push(thread);
        const control = threads.#control;
        const isFirst = threads.#threads.length === 1;
        thread.post({ type: "start", module, memory, control, threads: locals.length, isFirst, local });
      }
      await threads.#answers();
      return threads;
    } catch (error) {
      threads.dispose();
      throw error;
    }
  }

  private constructor() {}

  keep(calls: readonly CompiledCall[]): CallList {
    const id = this.#nextId++;
    this.#post({ type: "program", id, calls });
    return {
      run: (times, scratch, signal, onTimes) => this.#run(id, times, scratch, signal, onTimes),
      forget: () => this.#post({ type: "forget", id }),
    };
  }

  dispose(): void {
    this.#fail("the runner was disposed", "disposed");
  }

  async #run(
    id: number,
    times: number,
    scratch: number,
    signal?: AbortSignal,
    onTimes?: OnTimes,
  ): Promise<void> {
    signal?.throwIfAborted();
    if (this.#failure) throw this.#failure;
    Atomics.store(this.#control, CONTROL.stop, 0);
    Atomics.store(this.#control, CONTROL.failed, 0);
    const stop = () => Atomics.store(this.#control, CONTROL.stop, 1);
    signal?.addEventListener("abort", stop);
    try {
      const run = ++this.#runs | 0;
      this.#post({ type: "run", id, run, times, scratch, timed: onTimes !== undefined });
      const took = await this.#answers();
      onTimes?.(took);
    } finally {
      signal?.removeEventListener("abort", stop);
    }
    signal?.throwIfAborted();
  }

  /** Waits until all threads are ready, or the run in flight has ended. */
  async #answers(): Promise<readonly CallTime[]> {
    for (const thread of this.#threads) thread.hold(true);
    try {
      return await new Promise<readonly CallTime[]>((resolve, reject) => {
        if (this.#failure) reject(this.#failure);
        this.#waiting = { messages: [], resolve, reject };
      });
    } finally {
      this.#waiting = undefined;
      for (const thread of this.#threads) thread.hold(false);
    }
  }

  #onMessage(message: FromWorker): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    const { messages } = waiting;
    messages.push(message);
    const done = messages.find((one) => one.type === "done");
    const expected = done ? 1 + Atomics.load(this.#control, CONTROL.failed) : this.#threads.length;
    if (messages.length < expected) return;
    const error = messages.flatMap((one) => (one.type === "ready" ? [] : (one.error ?? [])))[0];
    if (error === undefined) waiting.resolve(done?.times ?? []);
    else waiting.reject(new Florence2Error("cpu_failed", `A kernel of the CPU engine failed: ${error}`, {}));
  }

  #post(message: ToWorker): void {
    for (const thread of this.#threads) thread.post(message);
  }

  #fail(reason: string, code: "cpu_failed" | "disposed" = "cpu_failed"): void {
    if (this.#failure) return;
    this.#failure = new Florence2Error(
      code,
      code === "disposed"
        ? "this runner was disposed"
        : `A thread of the CPU engine ended: ${reason}. Load the model again.`,
      { reason },
    );
    for (const thread of this.#threads) thread.end();
    this.#waiting?.reject(this.#failure);
  }
}
