/** A promise with its ends apart. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

/** `Promise.withResolvers`, which Node 20 lacks. A rejection without a listener does not count as unhandled. */
export function deferred<T>(): Deferred<T> {
  let [resolve, reject]: [(value: T) => void, (reason: unknown) => void] = [() => {}, () => {}];
  const promise = new Promise<T>((...ends) => {
    [resolve, reject] = ends;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}

const listeners = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls the listener when the signal aborts, until the returned function is called. A signal has one listener of
 * the runtime's, however many calls it is given to: runtimes warn of more than ten.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const known = listeners.get(signal);
  const all = known ?? new Set();
  if (!known) {
    listeners.set(signal, all);
    const tell = () => {
      for (const each of all) each();
    };
    signal.addEventListener("abort", tell, { once: true });
  }
  all.add(listener);
  return () => {
    all.delete(listener);
  };
}

/** Waits for a promise, or rejects at once with the signal's reason when it aborts. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = deferred<never>();
  if (signal.aborted) aborted.reject(signal.reason);
  const unlisten = onAbort(signal, () => aborted.reject(signal.reason));
  try {
    return await Promise.race([aborted.promise, promise]);
  } finally {
    unlisten();
  }
}
