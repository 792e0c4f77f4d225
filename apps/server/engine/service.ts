import { setMaxListeners } from "node:events";
import { ApiError, ClientGone } from "../http/errors.ts";
import type { Metrics } from "../operations/metrics.ts";
import { Admission, type Priority } from "./admission.ts";
import { Call, type CallHost } from "./call.ts";
import type { Answered, EncodedImage, Engine, Part, Question } from "./engine.ts";
import { type Borrowed, ImageCache } from "./image_cache.ts";
import { openLifetime } from "./signals.ts";

export type ServiceState = "loading" | "ready" | "lost" | "draining" | "stopped";

/** How far loading is: the files come from a hub, if they are not here, and then the weights go to the device. */
export interface LoadProgress {
  readonly stage: "downloaded" | "loaded";
  readonly percent: number;
}

export type LoadEngine = (signal: AbortSignal, tell: (progress: LoadProgress) => void) => Promise<Engine>;

export interface ServiceOptions {
  /** Loads the model, and tells how far that is; called again when its device was lost. */
  readonly load: LoadEngine;
  readonly metrics: Metrics;
  readonly maxQueue: number;
  readonly maxRunning: number;
  /** In milliseconds, from a request's arrival. */
  readonly requestTimeout: number;
  /** In bytes. */
  readonly imageCache: number;
  /** Receives warnings for the operator. */
  readonly onEvent?: (event: string, details: Record<string, unknown>) => void;
}

const RELOAD_MILLISECONDS = { first: 500, most: 30_000 };

/** A model that may be loading, lost or about to stop, and the requests that it is asked. */
export class Service implements CallHost {
  readonly #options: ServiceOptions;
  readonly #admission: Admission;
  readonly #cache: ImageCache;
  readonly #stop = new AbortController();
  #state: ServiceState = "loading";
  #engine: Engine | undefined;
  #starting: Promise<void> | undefined;
  #loadProgress: LoadProgress | undefined;
  #calls = new Set<Call>();
  #idle: (() => void)[] = [];

  constructor(options: ServiceOptions) {
    this.#options = options;
    // Every request listens.
    setMaxListeners(0, this.#stop.signal);
    this.#admission = new Admission(options);
    this.#cache = new ImageCache(options.imageCache);
    const { metrics } = options;
    metrics.gauge("florence2_requests_running", "Requests at the model", () => this.#admission.running);
    metrics.gauge(
      "florence2_requests_waiting",
      "Requests accepted and not at the model",
      () => this.#admission.waiting,
    );
    metrics.gauge("florence2_model_loaded", "1 when the model can be asked", () =>
      Number(this.#state === "ready"),
    );
    metrics.gauge("florence2_image_cache_bytes", "Device memory of kept images", () => this.#cache.bytes);
    metrics.gauge(
      "florence2_device_memory_bytes",
      "Device memory in use",
      () => this.#engine?.memoryBytes ?? 0,
    );
  }

  get state(): ServiceState {
    return this.#state;
  }

  get admission(): Admission {
    return this.#admission;
  }

  get metrics(): Metrics {
    return this.#options.metrics;
  }

  get device(): Engine["device"] | undefined {
    return this.#engine?.device;
  }

  /** Why requests are not taken now; undefined when they are. */
  get unreadyReason(): string | undefined {
    if (this.#state !== "ready") return this.#state;
    return this.#admission.isFull ? "overloaded" : undefined;
  }

  /** Undefined until something of the model is there. */
  get loadProgress(): LoadProgress | undefined {
    return this.#loadProgress;
  }

  /** Loads the model. Calls during the loading wait for it, too; after one that failed, the next call tries again. */
  start(): Promise<void> {
    this.#starting ??= this.#begin().catch((error: unknown) => {
      this.#starting = undefined;
      throw error;
    });
    return this.#starting;
  }

  async #begin(): Promise<void> {
    this.#engine = await this.#load();
    if (this.#state === "loading") this.#state = "ready";
  }

  #load(): Promise<Engine> {
    this.#loadProgress = undefined;
    return this.#options.load(this.#stop.signal, (progress) => {
      this.#loadProgress = progress;
    });
  }

  /** @throws {ApiError} 503 when the model cannot be asked, 429 when too many wait */
  expectRoom(): void {
    const { metrics } = this.#options;
    try {
      this.#expectReady();
      this.#admission.expectRoom();
    } catch (error) {
      metrics.rejected.inc({ reason: (error as ApiError).code });
      throw error;
    }
  }

  /** Takes a request in. `client` aborts when its caller is gone. The call is to be closed. */
  open(priority: Priority, client: AbortSignal): Call {
    if (priority === "interactive") this.expectRoom();
    else this.#expectReady();
    const lifetime = openLifetime(
      [
        { signal: client, reason: () => new ClientGone() },
        { signal: this.#stop.signal, reason: stopping },
      ],
      // Lines of batches wait for as long as people ask.
      priority === "batch" ? Infinity : this.#options.requestTimeout,
      () =>
        new ApiError(
          504,
          "deadline_exceeded",
          `The answer took longer than the ${this.#options.requestTimeout / 1000} s that a request may take.`,
        ),
    );
    const leave = this.#admission.accept(priority);
    const call = new Call(this, priority, lifetime, () => {
      leave();
      this.#calls.delete(call);
      if (this.#calls.size === 0) for (const tell of this.#idle.splice(0)) tell();
    });
    this.#calls.add(call);
    return call;
  }

  /** Takes no more requests, lets the accepted ones finish for a while, and ends the rest. */
  async drain(milliseconds: number): Promise<void> {
    this.#state = "draining";
    if (this.#calls.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([
        new Promise<void>((resolve) => this.#idle.push(resolve)),
        new Promise<void>((resolve) => {
          timer = setTimeout(resolve, milliseconds);
        }),
      ]);
      clearTimeout(timer);
    }
    this.#stop.abort(stopping());
    this.#state = "stopped";
    this.#cache.clear();
    this.#engine?.dispose();
    this.#engine = undefined;
  }

  borrow(file: Uint8Array, signal: AbortSignal): Promise<Borrowed> {
    const engine = this.engine();
    return this.#cache.borrow(
      file,
      async (look) => {
        const end = this.metrics.encodeSeconds.startTimer();
        const image = await this.#watch(engine, engine.encode(file, look));
        end();
        return image;
      },
      signal,
    );
  }

  run(image: EncodedImage, question: Question, signal: AbortSignal): Promise<Answered> {
    const engine = this.engine();
    return this.#watch(engine, engine.run(image, question, signal));
  }

  async *stream(image: EncodedImage, question: Question, signal: AbortSignal): AsyncIterable<Part> {
    const engine = this.engine();
    try {
      yield* engine.stream(image, question, signal);
    } catch (error) {
      this.#noteLoss(engine, error);
      throw error;
    }
  }

  engine(): Engine {
    this.#expectLoaded();
    return this.#engine!;
  }

  #expectReady(): void {
    if (this.#state === "draining" || this.#state === "stopped") throw stopping();
    this.#expectLoaded();
  }

  #expectLoaded(): void {
    if (this.#engine) return;
    const doing = this.#state === "lost" ? "is being loaded again, its device was lost" : "is being loaded";
    throw new ApiError(503, "model_loading", `The model ${doing}; try again in a few seconds.`, {
      headers: { "retry-after": "5" },
    });
  }

  async #watch<T>(engine: Engine, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      this.#noteLoss(engine, error);
      throw error;
    }
  }

  /** A lost device does not come back: the model is loaded anew, again and again until that succeeds. */
  #noteLoss(engine: Engine, error: unknown): void {
    const { code } = Object(error) as { readonly code?: string };
    if (code === undefined || !LOST.includes(code) || this.#engine !== engine) return;
    this.#engine = undefined;
    this.#options.metrics.deviceLost.inc();
    this.#options.onEvent?.("device_lost", { message: (error as Error).message });
    this.#cache.clear();
    engine.dispose();
    if (this.#state === "ready") this.#state = "lost";
    void this.#reload();
  }

  async #reload(): Promise<void> {
    for (let wait = RELOAD_MILLISECONDS.first; !this.#stop.signal.aborted; wait *= 2) {
      try {
        const engine = await this.#load();
        if (this.#stop.signal.aborted) return engine.dispose();
        this.#engine = engine;
        if (this.#state === "lost") this.#state = "ready";
        this.#options.onEvent?.("model_reloaded", { device: engine.device.name });
        return;
      } catch (error) {
        this.#options.onEvent?.("model_reload_failed", { message: (error as Error).message });
        await new Promise((resolve) =>
          setTimeout(resolve, Math.min(wait, RELOAD_MILLISECONDS.most)).unref?.(),
        );
      }
    }
  }
}

/** Codes of the library's errors after which a device computes nothing any more. */
const LOST = ["gpu_lost", "cpu_failed"];

function stopping(): ApiError {
  return new ApiError(503, "shutting_down", "The server is shutting down.", {
    headers: { "retry-after": "5", connection: "close" },
  });
}
