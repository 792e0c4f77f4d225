import type { Florence2Error } from "../../core/errors.ts";
import { onAbort } from "./promises.ts";

interface Waiting {
  readonly start: () => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Gives the device to one piece of work at a time, in the order of asking. A piece is what is submitted
 * together: an image, a prompt, some decoding steps. Code of the user never runs inside a piece, so that nothing
 * that a caller does or leaves undone keeps the device from the others.
 */
export class DeviceQueue {
  readonly #waiting: Waiting[] = [];
  #busy = false;
  #last: Promise<unknown> = Promise.resolve();
  #closed: Florence2Error | undefined;

  /**
   * Runs a piece of work after those that were asked for before.
   *
   * @throws what the work throws; while it waits, at once, the signal's reason and the reason of `close`
   */
  async turn<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#wait(signal);
    try {
      const working = work();
      this.#last = working.catch(() => {});
      return await working;
    } finally {
      this.#busy = false;
      this.#waiting.shift()?.start();
    }
  }

  /** Ends all waiting, now and later, with this reason. Work that has begun goes on. */
  close(reason: Florence2Error): void {
    this.#closed = reason;
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }

  /** Resolves when the work that has begun is done. */
  async idle(): Promise<void> {
    await this.#last;
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw this.#closed;
      signal?.throwIfAborted();
      const start = () => {
        unlisten?.();
        this.#busy = true;
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal!.reason);
      };
      const waiting = { start, reject };
      const unlisten = signal && onAbort(signal, leave);
      if (this.#busy) this.#waiting.push(waiting);
      else start();
    });
  }
}
