import { BrowserEngine } from "../engines/browser_engine.ts";
import type { Engine } from "../engines/engine.ts";
import type { ModelChoice } from "../engines/protocol.ts";
import { type ServerAddress, ServerEngine } from "../engines/server_engine.ts";
import { type Failure, failureOf, isAbort } from "../failure.ts";
import { nameOf } from "./choices.ts";
import { DownloadMeter } from "./download_meter.ts";
import { begunChoice, lastChoice } from "./kept_choice.ts";

/** What was asked to be opened: a model here, or a server. */
export type Target =
  | { readonly place: "browser"; readonly choice: ModelChoice }
  | { readonly place: "server"; readonly address: ServerAddress };

export interface HostListener {
  /** How far opening is; undefined once it is over. */
  onProgress(progress: { readonly text: string; readonly percent?: number } | undefined): void;
  /** There is another engine. */
  onEngine(engine: Engine): void;
  onFailure(failure: Failure, target: Target): void;
  onWarning(message: string): void;
}

/** The engine that answers, and the one that is being opened. The old one answers until the new one can. */
export class ModelHost {
  readonly #listener: HostListener;
  #engine: Engine | undefined;
  #opening: AbortController | undefined;
  #target: Target | undefined;

  constructor(listener: HostListener) {
    this.#listener = listener;
  }

  get engine(): Engine | undefined {
    return this.#engine;
  }

  /** What was opened last, or tried. */
  get target(): Target | undefined {
    return this.#target;
  }

  /** Ends an opening that is under way. What was downloaded is kept, and the next download goes on there. */
  cancel(): void {
    if (this.#opening && this.#target?.place === "browser") begunChoice.forget(this.#target.choice.source);
    this.#opening?.abort();
  }

  /** Opens another engine in place of the present one. */
  async open(target: Target): Promise<void> {
    this.cancel();
    const opening = new AbortController();
    [this.#opening, this.#target] = [opening, target];
    this.#listener.onProgress({ text: startOf(target) });
    try {
      const engine = await this.#start(target, opening.signal);
      opening.signal.throwIfAborted();
      this.#engine?.close();
      this.#engine = engine;
      if (target.place === "browser") {
        lastChoice.set(target.choice);
        begunChoice.forget(target.choice.source);
      }
      this.#listener.onEngine(engine);
    } catch (error) {
      if (!isAbort(error)) this.#listener.onFailure(failureOf(error), target);
    } finally {
      if (this.#opening === opening) {
        this.#opening = undefined;
        this.#listener.onProgress(undefined);
      }
    }
  }

  /** Puts an engine away that cannot answer any more. */
  discard(): void {
    this.#engine?.close();
    this.#engine = undefined;
  }

  #start(target: Target, signal: AbortSignal): Promise<Engine> {
    const { onProgress, onWarning } = this.#listener;
    const tell = (progress: { text: string; percent?: number } | undefined) => {
      if (progress && !signal.aborted) onProgress(progress);
    };
    if (target.place === "server")
      return ServerEngine.connect(target.address, (text) => tell({ text }), signal);
    const meter = new DownloadMeter();
    const listener = {
      onWarning,
      onProgress: (event: Parameters<typeof meter.take>[0]) => {
        // A page that is left before the model is whole offers the rest at the next visit.
        if (event.status === "download" && !signal.aborted) begunChoice.set(target.choice);
        tell(meter.take(event));
      },
    };
    return BrowserEngine.load(target.choice, listener, signal);
  }
}

const startOf = (target: Target) =>
  target.place === "server"
    ? `Connecting to ${target.address.origin}`
    : `Opening ${nameOf(target.choice.source)}`;
