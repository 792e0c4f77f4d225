import type { Calls } from "./calls.ts";
import { onAbort } from "./promises.ts";

/** Tokens on their way from the device to a reader, who may be slower. */
export class TokenBuffer {
  readonly #parts: (readonly number[])[] = [];
  #wake = () => {};

  add(tokens: readonly number[]): void {
    this.#parts.push(tokens);
    this.#wake();
  }

  /** All parts in order, until the call that adds them has ended. */
  async *until(end: Promise<unknown>): AsyncGenerator<readonly number[], void, undefined> {
    let ended = false;
    const finish = () => {
      ended = true;
      this.#wake();
    };
    end.then(finish, finish);
    for (;;) {
      const part = this.#parts.shift();
      if (part) yield part;
      else if (ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

/** A call that its reader may leave. */
export class StoppableCall<T> {
  readonly result: Promise<T>;
  readonly #stop = new AbortController();
  #work: Promise<unknown> = Promise.resolve();

  constructor(calls: Calls, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>) {
    if (signal?.aborted) this.#stop.abort(signal.reason);
    const unlisten = signal ? onAbort(signal, () => this.#stop.abort(signal.reason)) : () => {};
    this.result = calls.make(this.#stop.signal, (own) => {
      const done = work(own);
      this.#work = done;
      return done;
    });
    // A caller that reads on gets the failure; without one it does not count as unhandled.
    this.result.then(unlisten, unlisten);
  }

  /** Ends the call, if it has not ended, and waits until the device has its memory back. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work.catch(() => {});
  }
}
