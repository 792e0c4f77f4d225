import { ApiError } from "../http/errors.ts";

/** Requests of people go before lines of batches. */
export type Priority = "interactive" | "batch";

interface Waiting {
  readonly start: () => void;
}

/** Of the places that become free while both kinds wait, one in this many goes to a batch, so that it never starves. */
const BATCH_SHARE = 8;
/** Weight of the newest interval in the mean that `retry-after` is computed from. */
const NEWEST = 0.2;

export interface AdmissionOptions {
  /** Requests that may wait, lines of batches not counted. */
  readonly maxQueue: number;
  /** Requests that the model works on together. */
  readonly maxRunning: number;
  readonly now?: () => number;
}

/**
 * Who may ask the model, and when. A request is accepted, or refused at once when the queue is full; an accepted
 * one is counted until it leaves, prepares its image outside, and then waits for its turn.
 */
export class Admission {
  readonly #maxQueue: number;
  readonly #maxRunning: number;
  readonly #now: () => number;
  readonly #waiting: Record<Priority, Set<Waiting>> = { interactive: new Set(), batch: new Set() };
  #accepted = 0;
  #acceptedInteractive = 0;
  #running = 0;
  #started = 0;
  /** Mean time from one finished request to the next while the model is busy, in milliseconds. */
  #interval = 1000;
  #lastFinish = 0;

  constructor({ maxQueue, maxRunning, now = () => performance.now() }: AdmissionOptions) {
    this.#maxQueue = maxQueue;
    this.#maxRunning = maxRunning;
    this.#now = now;
  }

  get running(): number {
    return this.#running;
  }

  /** Accepted and not yet started, the image perhaps still on its way. */
  get waiting(): number {
    return this.#accepted - this.#running;
  }

  get accepted(): number {
    return this.#accepted;
  }

  get isFull(): boolean {
    return this.#acceptedInteractive >= this.#maxQueue + this.#maxRunning;
  }

  /** Free places, for `x-ratelimit-remaining-requests`. */
  get remaining(): number {
    return Math.max(0, this.limit - this.#acceptedInteractive);
  }

  get limit(): number {
    return this.#maxQueue + this.#maxRunning;
  }

  /** Seconds until a place will be free, estimated from the last requests. */
  get secondsUntilFree(): number {
    return Math.max(1, Math.ceil((this.waiting * this.#interval) / 1000));
  }

  /** @throws {ApiError} 429 when the queue is full, with the time after which a place will be free */
  expectRoom(): void {
    if (!this.isFull) return;
    const seconds = this.secondsUntilFree;
    throw new ApiError(
      429,
      "server_overloaded",
      `${this.#acceptedInteractive} requests are being answered or wait, the most that this server takes; try again in ${seconds} s.`,
      { headers: { "retry-after": String(seconds) } },
    );
  }

  /** Takes a request in; the caller calls the result once, when the request is over. */
  accept(priority: Priority): () => void {
    if (priority === "interactive") {
      this.expectRoom();
      this.#acceptedInteractive++;
    }
    this.#accepted++;
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      this.#accepted--;
      if (priority === "interactive") this.#acceptedInteractive--;
    };
  }

  /** Waits for a turn at the model; the caller calls the result once, when the model is done. Leaves the queue when the signal aborts. */
  async start(priority: Priority, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#running >= this.#maxRunning) {
      await new Promise<void>((resolve, reject) => {
        const queue = this.#waiting[priority];
        const leave = () => {
          queue.delete(entry);
          reject(signal.reason);
        };
        const entry: Waiting = {
          start: () => {
            queue.delete(entry);
            signal.removeEventListener("abort", leave);
            resolve();
          },
        };
        queue.add(entry);
        signal.addEventListener("abort", leave, { once: true });
      });
    } else {
      this.#take();
    }
    let isOver = false;
    return () => {
      if (!isOver) this.#finish();
      isOver = true;
    };
  }

  #take(): void {
    if (this.#running === 0) this.#lastFinish = this.#now();
    this.#running++;
    this.#started++;
  }

  #finish(): void {
    const now = this.#now();
    this.#interval += NEWEST * (now - this.#lastFinish - this.#interval);
    this.#lastFinish = now;
    this.#running--;
    const next = this.#next();
    if (!next) return;
    this.#take();
    next.start();
  }

  #next(): Waiting | undefined {
    const { interactive, batch } = this.#waiting;
    const isBatchTurn = batch.size > 0 && this.#started % BATCH_SHARE === 0;
    const [first, second] = isBatchTurn ? [batch, interactive] : [interactive, batch];
    const [next] = first.size > 0 ? first : second;
    return next;
  }
}
