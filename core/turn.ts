/** Lets everything else that waits have its turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") {
      setImmediate(resolve);
      return;
    }
    // In browsers, where timers would wait 4 ms.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** The event loop gets a turn at least about this often. */
const TURN_MS = 8;

/**
 * Keeps a long computation from holding up the event loop. Between parts that take less than a millisecond:
 *
 *     if (turns.areDue) await turns.take();
 */
export class Turns {
  #resumed = performance.now();

  get areDue(): boolean {
    return performance.now() - this.#resumed >= TURN_MS;
  }

  async take(): Promise<void> {
    await turn();
    this.#resumed = performance.now();
  }
}
