import { ClientGone } from "../http/errors.ts";
import type { Metrics } from "../operations/metrics.ts";
import type { Admission, Priority } from "./admission.ts";
import type { Answered, EncodedImage, Engine, Part, Question } from "./engine.ts";
import type { Borrowed } from "./image_cache.ts";
import { type Lifetime, raced } from "./signals.ts";
import { taskLabel } from "./task_names.ts";

/** The answers to one request's questions, and the image that they are about. */
export interface Answers {
  readonly image: Pick<EncodedImage, "width" | "height" | "tokens">;
  readonly isCached: boolean;
  readonly answers: readonly Answered[];
}

/** The model as a call finds it. */
export interface CallHost {
  readonly admission: Admission;
  readonly metrics: Metrics;
  /** @throws {ApiError} 503 while there is none */
  engine(): Engine;
  borrow(file: Uint8Array, signal: AbortSignal): Promise<Borrowed>;
  run(image: EncodedImage, question: Question, signal: AbortSignal): Promise<Answered>;
  stream(image: EncodedImage, question: Question, signal: AbortSignal): AsyncIterable<Part>;
}

/** One request's stay at the model. */
export class Call {
  readonly #host: CallHost;
  readonly #priority: Priority;
  readonly #lifetime: Lifetime;
  readonly #leave: () => void;
  readonly #arrival = performance.now();
  /** Waiting for a turn; at the model, and of that until the image was looked at; in milliseconds. */
  queueMs = 0;
  inferenceMs = 0;
  imageMs = 0;

  constructor(host: CallHost, priority: Priority, lifetime: Lifetime, leave: () => void) {
    this.#host = host;
    this.#priority = priority;
    this.#lifetime = lifetime;
    this.#leave = leave;
  }

  /** Aborts when the caller is gone, time is over, or the server stops. */
  get signal(): AbortSignal {
    return this.#lifetime.signal;
  }

  /** The answers to questions about one image, which is looked at once. */
  async ask(file: Uint8Array, questions: readonly Question[]): Promise<Answers> {
    for (const question of questions) this.#host.engine().check(question);
    const end = await this.#start();
    const begin = performance.now();
    let borrowed: Borrowed | undefined;
    let runs: Promise<Answered>[] = [];
    try {
      borrowed = await this.#host.borrow(file, this.signal);
      this.imageMs = performance.now() - begin;
      const { image, isHit } = borrowed;
      runs = questions.map((question) => this.#host.run(image, question, this.signal));
      const answers = await raced(Promise.all(runs), this.signal);
      this.#count(isHit, questions, answers, begin);
      return { image, isCached: isHit, answers };
    } finally {
      this.inferenceMs = performance.now() - begin;
      // The model may go on for a moment after the signal: the turn is over when it is done.
      void Promise.allSettled(runs).then(() => {
        borrowed?.release();
        end();
      });
    }
  }

  /** The parts of an answer; the image's size is known with the first. */
  async *stream(
    file: Uint8Array,
    question: Question,
  ): AsyncGenerator<Part & Pick<Answers, "image" | "isCached">> {
    this.#host.engine().check(question);
    const end = await this.#start();
    const begin = performance.now();
    let borrowed: Borrowed | undefined;
    try {
      borrowed = await this.#host.borrow(file, this.signal);
      const { image, isHit } = borrowed;
      let isFirst = true;
      for await (const part of this.#host.stream(image, question, this.signal)) {
        if (isFirst) this.#host.metrics.firstTokenSeconds.observe((performance.now() - this.#arrival) / 1000);
        isFirst = false;
        if (part.answered) this.#count(isHit, [question], [part.answered], begin);
        yield { ...part, image, isCached: isHit };
      }
    } finally {
      this.inferenceMs = performance.now() - begin;
      borrowed?.release();
      end();
    }
  }

  close(): void {
    this.#lifetime.close();
    this.#leave();
  }

  /** Ends the call, as when its caller is gone. */
  abort(): void {
    this.#lifetime.end(new ClientGone());
  }

  async #start(): Promise<() => void> {
    const begin = performance.now();
    const { admission, metrics } = this.#host;
    const end = await admission.start(this.#priority, this.signal);
    this.queueMs = performance.now() - begin;
    metrics.queueSeconds.observe(this.queueMs / 1000);
    metrics.concurrency.observe(admission.running);
    return end;
  }

  #count(isHit: boolean, questions: readonly Question[], answers: readonly Answered[], begin: number): void {
    const { metrics } = this.#host;
    if (isHit) metrics.cacheHits.inc();
    for (const [i, { promptTokens, sequences }] of answers.entries()) {
      metrics.promptTokens.inc(promptTokens);
      metrics.generationTokens.inc(sequences.reduce((sum, { tokenCount }) => sum + tokenCount, 0));
      metrics.inferenceSeconds.observe(
        { task: taskLabel(questions[i]!.task) },
        (performance.now() - begin) / 1000,
      );
    }
  }
}
