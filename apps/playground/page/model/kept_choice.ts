/** Choices of a model that outlast the page: the one of the last visit, and the one whose download is not over. */
import type { ModelChoice } from "../engines/protocol.ts";
import { choiceOf } from "./choices.ts";

/** A choice under a name of its own in the browser's storage. */
export class KeptChoice {
  readonly #key: string;

  constructor(name: string) {
    this.#key = `florence2-playground.${name}`;
  }

  get(): ModelChoice | undefined {
    try {
      const kept = JSON.parse(localStorage.getItem(this.#key) ?? "null");
      return kept && typeof kept === "object" ? choiceOf(kept) : undefined;
    } catch {
      return undefined;
    }
  }

  set(choice: ModelChoice): void {
    try {
      localStorage.setItem(this.#key, JSON.stringify(choice));
    } catch {
      // A browser that keeps nothing begins with the bundled checkpoint.
    }
  }

  /** Forgets the choice, if it is of that model. */
  forget(source: string): void {
    if (this.get()?.source === source) localStorage.removeItem(this.#key);
  }
}

/** The model of the last visit. */
export const lastChoice = new KeptChoice("model");
/** The model that was being downloaded. */
export const begunChoice = new KeptChoice("download");
