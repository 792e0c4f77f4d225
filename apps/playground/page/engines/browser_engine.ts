import type { ProgressEvent } from "florence2-webgpu";
import type { AskedImage, Engine, Listener, ModelFacts, Question, Reply } from "./engine.ts";
import type { ModelChoice } from "./protocol.ts";
import { WorkerLink } from "./worker_link.ts";

export interface LoadListener {
  onProgress(event: ProgressEvent): void;
  onWarning(message: string): void;
}

/** A model in a worker of this browser: on WebGPU, or on the CPU engine. */
export class BrowserEngine implements Engine {
  readonly place = "browser";
  readonly facts: ModelFacts;
  readonly choice: ModelChoice;
  readonly #link: WorkerLink;

  static async load(
    choice: ModelChoice,
    { onProgress, onWarning }: LoadListener,
    signal: AbortSignal,
  ): Promise<BrowserEngine> {
    const link = new WorkerLink();
    try {
      const facts = await link.call("load", choice, {
        signal,
        onEvent(event) {
          if (event.type === "progress") onProgress(event.event);
          if (event.type === "warning") onWarning(event.message);
        },
      });
      return new BrowserEngine(link, choice, facts);
    } catch (error) {
      link.close();
      throw error;
    }
  }

  private constructor(link: WorkerLink, choice: ModelChoice, facts: Omit<ModelFacts, "model">) {
    this.#link = link;
    this.choice = choice;
    this.facts = { model: choice.source, ...facts };
  }

  async ask(
    { id, blob }: AskedImage,
    question: Question,
    listener: Listener,
    signal: AbortSignal,
  ): Promise<Reply> {
    const warnings: string[] = [];
    const argument = { imageId: id, image: blob, question };
    const reply = await this.#link.call("ask", argument, {
      signal,
      onEvent(event) {
        if (event.type === "looked") listener.onLooked();
        if (event.type === "text") listener.onText(event.text, event.tokens);
        if (event.type === "warning") warnings.push(event.message);
      },
    });
    return { ...reply, warnings };
  }

  close(): void {
    this.#link.close();
  }
}
