import type { Question } from "../decoding_session.ts";
import type { GenerationSettings } from "../generation/options.ts";
import type { GeneratedSequence } from "../generation/report.ts";
import { deferred, onAbort } from "./promises.ts";

/** How a question is decoded. */
export interface Decoding {
  readonly settings: GenerationSettings;
  /** Questions of the same group may be decoded together. */
  readonly group: unknown;
  /** Which of its call's questions it is. */
  readonly index: number;
  /** Takes the tokens of the best answer as they become certain. */
  readonly onTokens?: (tokens: readonly number[]) => void;
}

/** A question that waits for its answer, or has it. It is answered or rejected once; what comes later counts nothing. */
export class QueuedQuestion {
  readonly question: Question;
  readonly decoding: Decoding;
  readonly #answer = deferred<GeneratedSequence[]>();
  readonly #left = deferred<void>();
  #onSettled = () => this.leave();
  readonly #unlisten: () => void;
  #settled = false;

  /** @param signal rejects the question with its reason */
  constructor(question: Question, decoding: Decoding, signal: AbortSignal) {
    this.question = question;
    this.decoding = decoding;
    this.#unlisten = onAbort(signal, () => this.reject(signal.reason));
    if (signal.aborted) this.reject(signal.reason);
  }

  /** The answers, best first. */
  get answer(): Promise<GeneratedSequence[]> {
    return this.#answer.promise;
  }

  /** Resolves when the question takes no memory of the device any more, or its batch goes on for others. */
  get left(): Promise<void> {
    return this.#left.promise;
  }

  get isSettled(): boolean {
    return this.#settled;
  }

  /** Its batch begins; `onSettled` takes the place of leaving. */
  enter(onSettled: () => void): void {
    this.#onSettled = onSettled;
  }

  leave(): void {
    this.#left.resolve();
  }

  resolve(answer: GeneratedSequence[]): void {
    if (this.#settled) return;
    this.#answer.resolve(answer);
    this.#settle();
  }

  reject(reason: unknown): void {
    if (this.#settled) return;
    this.#answer.reject(reason);
    this.#settle();
  }

  #settle(): void {
    this.#settled = true;
    this.#unlisten();
    this.#onSettled();
  }
}

/**
 * The group of a question that others may join: equal for equal settings. A call that watches its steps decodes
 * alone, because what it does in `onStep` would hold up the others.
 */
export function groupOf({ signal, onStep, model, ...settings }: GenerationSettings): unknown {
  if (onStep) return Symbol();
  const { doSample, seed, temperature, topK, topP, ...rest } = settings;
  return JSON.stringify(doSample ? settings : rest);
}
