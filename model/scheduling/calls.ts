import type { Florence2Error } from "../../core/errors.ts";
import { onAbort, untilAborted } from "./promises.ts";

/** The calls that a model answers at the moment: each ends at once when its signal aborts or the model is disposed. */
export class Calls {
  readonly #open = new Set<AbortController>();
  #closed: Florence2Error | undefined;

  /**
   * Makes a call.
   *
   * @param work stops and frees its memory when its signal aborts; the call does not wait for that
   * @throws what the work throws; at once the reason of the caller's signal, or that of `close`
   */
  async make<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#closed) throw this.#closed;
    signal?.throwIfAborted();
    const call = new AbortController();
    const unlisten = signal && onAbort(signal, () => call.abort(signal.reason));
    this.#open.add(call);
    try {
      return await untilAborted(work(call.signal), call.signal);
    } finally {
      unlisten?.();
      this.#open.delete(call);
    }
  }

  /** Ends all calls, now and later, with this reason. */
  close(reason: Florence2Error): void {
    this.#closed = reason;
    for (const call of this.#open) call.abort(reason);
  }
}
