import { setMaxListeners } from "node:events";

/** Settles like `promise`, but rejects with the signal's reason as soon as that aborts. The work itself goes on. */
export async function raced<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let leave = () => {};
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", leave);
    // A caller that has left hears of no failure.
    promise.catch(() => {});
  }
}

export interface Lifetime {
  readonly signal: AbortSignal;
  end(reason: unknown): void;
  /** Stops the clock and lets go of the sources; nothing aborts any more. */
  close(): void;
}

/**
 * A signal that follows others and a clock, and can be let go: `AbortSignal.any` keeps its sources' listeners for
 * as long as they live, and a server's own signal lives for ever.
 */
export function openLifetime(
  sources: readonly { readonly signal: AbortSignal; readonly reason: () => unknown }[],
  milliseconds: number,
  onTimeout: () => unknown,
): Lifetime {
  const controller = new AbortController();
  // Every question of a request listens.
  setMaxListeners(0, controller.signal);
  const end = (reason: unknown) => controller.abort(reason);
  const timer = milliseconds === Infinity ? undefined : setTimeout(() => end(onTimeout()), milliseconds);
  const listeners = sources.map(({ signal, reason }) => {
    const listener = () => end(reason());
    if (signal.aborted) listener();
    else signal.addEventListener("abort", listener, { once: true });
    return { signal, listener };
  });
  const close = () => {
    clearTimeout(timer);
    for (const { signal, listener } of listeners) signal.removeEventListener("abort", listener);
  };
  return { signal: controller.signal, end, close };
}
