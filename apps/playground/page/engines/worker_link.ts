import { Failure } from "../failure.ts";
import type { Calls, FromWorker, WorkerEvent } from "./protocol.ts";

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  onEvent(event: WorkerEvent): void;
}

/** A worker whose functions are called from the page. */
export class WorkerLink {
  readonly #worker = new Worker(new URL("../../worker/worker.ts", import.meta.url), {
    type: "module",
    name: "florence2-model",
  });
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#receive(data);
    this.#worker.onerror = ({ message }) =>
      this.#failAll(new Failure("worker_failed", message || "The worker that computes could not start."));
  }

  /** @throws {Failure}, or the signal's reason when it aborts */
  async call<N extends keyof Calls>(
    name: N,
    argument: Calls[N]["takes"],
    { onEvent = () => {}, signal }: { onEvent?: (event: WorkerEvent) => void; signal?: AbortSignal } = {},
  ): Promise<Calls[N]["gives"]> {
    signal?.throwIfAborted();
    const id = this.#nextId++;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, onEvent }));
    const cancel = () => {
      this.#worker.postMessage({ call: "cancel", id });
      this.#waiting.get(id)?.reject(signal!.reason);
      this.#waiting.delete(id);
    };
    signal?.addEventListener("abort", cancel);
    this.#worker.postMessage({ call: name, id, argument });
    try {
      return (await answer) as Calls[N]["gives"];
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** Ends the worker. Calls in flight fail. */
  close(): void {
    this.#worker.terminate();
    this.#failAll(new Failure("closed", "The model was put away."));
  }

  #receive(message: FromWorker): void {
    const waiting = this.#waiting.get(message.id);
    if ("event" in message) {
      waiting?.onEvent(message.event);
      return;
    }
    this.#waiting.delete(message.id);
    if ("error" in message) waiting?.reject(new Failure(message.error.code, message.error.message));
    else waiting?.resolve(message.value);
  }

  #failAll(failure: Failure): void {
    for (const { reject } of this.#waiting.values()) reject(failure);
    this.#waiting.clear();
  }
}
