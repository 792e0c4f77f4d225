import { isOutOfMemory } from "../../core/errors.ts";
import type { Runner } from "../../core/runner.ts";
import type { TextConfig } from "../config/config.ts";
import { DecodingSession } from "../decoding_session.ts";
import { search, searchesOf } from "../generation/generate.ts";
import type { StepReport } from "../generation/report.ts";
import type { Weights } from "../weights/load_weights.ts";
import type { DeviceQueue } from "./device_queue.ts";
import { untilAborted } from "./promises.ts";
import type { QueuedQuestion } from "./queued_question.ts";

/** Questions of a batch, at most. */
export const BATCH_SIZE = 8;
/** Decoder rows of a batch, questions times beams, at most. A question with more has a batch of its own. */
const BATCH_ROWS = 32;
/** Batches that are decoded in turn, a submission of steps each. */
const MAX_BATCHES = 4;

/** The parts of a model that decode answers. */
export interface AnswerModel {
  readonly runner: Runner;
  readonly weights: Pick<Weights, "text">;
  readonly config: { readonly text: TextConfig };
}

/**
 * Decodes answers in batches. A batch begins when the device is free for it, with the questions of one group that
 * wait then, of any calls. Batches take turns with each other and with images, so that a long answer holds up a
 * short one by one submission of steps.
 */
export class AnswerQueue {
  readonly #model: AnswerModel;
  readonly #device: DeviceQueue;
  readonly #waiting: QueuedQuestion[] = [];
  /** Batches that want the device: not those that wait for the user's `onStep`. */
  #batches = 0;
  /** Both shrink on a device that has no memory for so much. */
  #maxBatches = MAX_BATCHES;
  #batchSize = BATCH_SIZE;

  constructor(model: AnswerModel, device: DeviceQueue) {
    this.#model = model;
    this.#device = device;
  }

  /** Queues questions, which are answered or rejected then. */
  add(questions: readonly QueuedQuestion[]): void {
    this.#waiting.push(...questions);
    this.#fill();
  }

  #fill(): void {
    const free = this.#maxBatches - this.#batches;
    for (let i = 0; i < Math.min(free, this.#waiting.length); i++) void this.#serve();
  }

  /** One batch, from its beginning to its end. Failures go to its questions. */
  async #serve(): Promise<void> {
    const batch: QueuedQuestion[] = [];
    const stop = new AbortController();
    this.#batches++;
    try {
      const session = await this.#device.turn(() => this.#begin(batch, stop));
      if (session) await this.#decode(batch, session, stop.signal);
    } catch (error) {
      // Without a batch the device is gone: there is nothing to wait for.
      for (const question of batch.length > 0 ? batch : this.#waiting.splice(0)) question.reject(error);
    } finally {
      for (const question of batch) question.leave();
      this.#batches--;
      this.#fill();
    }
  }

  /** Fills a batch with questions that wait, if any still do, and encodes them. */
  async #begin(batch: QueuedQuestion[], stop: AbortController): Promise<DecodingSession | undefined> {
    batch.push(...this.#next());
    if (batch.length === 0) return undefined;
    let isEncoded = false;
    const leaveSettled = () => {
      for (const question of batch) if (question.isSettled) question.leave();
    };
    for (const question of batch) {
      question.enter(() => {
        if (batch.every(({ isSettled }) => isSettled)) stop.abort();
        // Its image is read until then, also where the caller is gone.
        else if (isEncoded) question.leave();
      });
    }
    const { runner, weights, config } = this.#model;
    const questions = batch.map(({ question }) => question);
    const settings = { ...batch[0]!.decoding.settings, signal: stop.signal };
    try {
      const session = await DecodingSession.open(runner, weights.text, config.text, questions, settings);
      isEncoded = true;
      leaveSettled();
      return session;
    } catch (error) {
      if (!this.#shrink(error, batch.length)) throw error;
      for (const question of batch) question.enter(() => question.leave());
      leaveSettled();
      this.#waiting.unshift(...batch.splice(0));
      return undefined;
    }
  }

  async #decode(
    batch: readonly QueuedQuestion[],
    session: DecodingSession,
    signal: AbortSignal,
  ): Promise<void> {
    const { settings } = batch[0]!.decoding;
    const searches = searchesOf(batch.length, settings);
    const advance = () => this.#device.turn(() => session.advance(), signal);
    const onStep = settings.onStep && ((report: StepReport) => this.#report(report, batch, signal));
    try {
      for await (const { decided } of search({ advance }, searches, { ...settings, signal, onStep })) {
        for (const { image, sequence, tokens } of decided)
          if (sequence === 0) batch[image]!.decoding.onTokens?.(tokens);
        for (const [i, question] of batch.entries()) {
          const { done, failure } = searches[i]!;
          if (question.isSettled) searches[i]!.abandon();
          else if (failure !== undefined) question.reject(failure);
          else if (done) question.resolve(searches[i]!.sequences());
        }
      }
    } finally {
      session.dispose();
    }
  }

  /** Has the user's `onStep` see a step. What it waits for may be another answer, so it takes no batch's place. */
  async #report(
    { decided, ...report }: StepReport,
    batch: readonly QueuedQuestion[],
    signal: AbortSignal,
  ): Promise<void> {
    const { onStep } = batch[0]!.decoding.settings;
    const named = decided.map((news) => ({ ...news, image: batch[news.image]!.decoding.index }));
    const seen = Promise.resolve(onStep!({ ...report, decided: named }));
    this.#batches--;
    this.#fill();
    try {
      await untilAborted(seen, signal);
    } finally {
      this.#batches++;
    }
  }

  /** Takes the questions of the next batch out of those that wait. */
  #next(): QueuedQuestion[] {
    const waiting = this.#waiting.splice(0).filter(({ isSettled }) => !isSettled);
    const batch: QueuedQuestion[] = [];
    for (const question of waiting) {
      const { group, settings } = (batch[0] ?? question).decoding;
      const rows = (batch.length + 1) * settings.rowsPerImage;
      const fits = batch.length === 0 || (batch.length < this.#batchSize && rows <= BATCH_ROWS);
      (fits && question.decoding.group === group ? batch : this.#waiting).push(question);
    }
    return batch;
  }

  /** After a failure to begin a batch: whether it may succeed with fewer batches or questions at a time. */
  #shrink(error: unknown, questions: number): boolean {
    if (!isOutOfMemory(error)) return false;
    if (this.#batches > 1) this.#maxBatches = Math.min(this.#maxBatches, this.#batches) - 1;
    else if (questions > 1) this.#batchSize = Math.ceil(questions / 2);
    else return false;
    return true;
  }
}
