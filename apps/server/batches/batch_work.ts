import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Checkpoint } from "../chunks/checkpoint.ts";
import type { AnswerSettings } from "../config/answer_settings.ts";
import type { FileStore } from "../files/file_store.ts";
import { toApiError } from "../http/errors.ts";
import type { Metrics } from "../operations/metrics.ts";
import { type Batch, type BatchLine, type Endpoint, isFinished, now } from "./batch.ts";
import type { BatchPlan, BatchStore } from "./batch_store.ts";
import { leftLines } from "./left_lines.ts";
import { checkLines, readLines } from "./read_lines.ts";
import { answered, type BatchResult, failed, isGood, sumOf, type Tally, tallyOf } from "./results.ts";
import { Slots } from "./slots.ts";

/** Answers one request as its endpoint would. Throws the error that the endpoint would answer with. */
export type Execute = (
  endpoint: Endpoint,
  body: Record<string, unknown>,
  context: { readonly requestId: string; readonly signal: AbortSignal },
) => Promise<object>;

export interface BatchWorkOptions {
  readonly files: FileStore;
  readonly batches: BatchStore;
  readonly execute: Execute;
  /** Lines that are asked about at the same time. */
  readonly concurrency: number;
  readonly settings: AnswerSettings;
  readonly metrics: Metrics;
}

/** Lines in a chunk: a worker takes one at a time, and a machine that breaks loses at most one. */
const LINES_PER_CHUNK = 16;
/** Between two looks at whether a batch was cancelled, and two tries of a line that the server's state prevents. */
const PAUSE_MILLISECONDS = 1000;

/**
 * The steps of a batch: plan, chunks, end. Any process that sees the folder may do any of them at any time; a step that
 * is done twice changes nothing.
 */
export class BatchWork {
  readonly #options: BatchWorkOptions;
  readonly #slots: Slots;

  constructor(options: BatchWorkOptions) {
    this.#options = options;
    this.#slots = new Slots(options.concurrency);
  }

  /** Checks the lines and divides them into chunks. Undefined if the batch has ended, here if a line is wrong. */
  async plan(id: string): Promise<BatchPlan | undefined> {
    const { batches, settings } = this.#options;
    const batch = await batches.find(id);
    if (!batch || isFinished(batch)) return undefined;
    const known = await batches.readPlan(id);
    if (known) return known;
    const input = await this.#inputOf(batch);
    if (input === undefined) return undefined;
    const { total, errors, ends } = await checkLines(input, batch.endpoint, LINES_PER_CHUNK);
    if (errors.length === 0) return batches.savePlan(id, { begun_at: now(), total, ends, settings });
    await this.#fail(batch, errors);
    return undefined;
  }

  /** The chunks of a plan without results. */
  async missing(id: string, { ends }: BatchPlan): Promise<number[]> {
    const there = new Set(await this.#options.batches.parts(id));
    return [...ends.keys()].filter((chunk) => !there.has(chunk));
  }

  /** Whether this process answers as the server that planned it. */
  isOwn({ settings }: BatchPlan): boolean {
    return JSON.stringify(settings) === JSON.stringify(this.#options.settings);
  }

  /**
   * Computes the lines of a chunk, and ends the batch with its last one. A line that keeps ending processes gets an
   * error of the code `crashed`; a cancelled or expired batch, one for each line that is left.
   *
   * @throws the reason of `stop` if it aborts; finished lines are kept
   */
  async computeChunk(id: string, chunk: number, stop: AbortSignal): Promise<void> {
    const { batches } = this.#options;
    const [batch, plan] = [await batches.find(id), await batches.readPlan(id)];
    if (!batch || !plan || isFinished(batch)) return;
    if (!(await batches.parts(id)).includes(chunk)) await this.#computeChunk(batch, plan, chunk, stop);
    if ((await this.missing(id, plan)).length === 0) await this.finish(id);
  }

  /** Ends a batch whose chunks all have their results. */
  async finish(id: string): Promise<void> {
    const { batches, files } = this.#options;
    const [batch, plan] = [await batches.find(id), await batches.readPlan(id)];
    if (!batch || !plan || isFinished(batch)) return;
    const tallies: Tally[] = [];
    let isExpired = false;
    const lines = (isWanted: (result: BatchResult) => boolean) =>
      async function* () {
        for (const chunk of plan.ends.keys())
          for (const result of await batches.readPart(id, chunk))
            if (isWanted(result)) yield `${JSON.stringify(result)}\n`;
      };
    for (const chunk of plan.ends.keys()) {
      const results = await batches.readPart(id, chunk);
      tallies.push(tallyOf(results));
      isExpired ||= results.some(({ error }) => error?.code === "batch_expired");
    }
    const { completed, failed, input, output } = sumOf(tallies);
    const expiresAfter = batch.output_expires_after ?? undefined;
    const put = async (kind: "output" | "error", content: () => AsyncIterable<string>) => {
      const path = await files.temporaryPath();
      try {
        await pipeline(Readable.from(content()), createWriteStream(path, { mode: 0o600, flush: true }));
        const filename = `${id}_${kind}.jsonl`;
        const own = { id: fileIdOf(id, kind), filename, purpose: "batch_output", expiresAfter };
        return (await files.adopt(path, own)).id;
      } finally {
        await rm(path, { force: true });
      }
    };
    const isCancelled = await batches.isCancelled(id);
    const status = isCancelled ? "cancelled" : isExpired ? "expired" : "completed";
    const ended: Batch = {
      ...batch,
      status,
      output_file_id: completed > 0 ? await put("output", lines(isGood)) : null,
      error_file_id:
        failed > 0
          ? await put(
              "error",
              lines((result) => !isGood(result)),
            )
          : null,
      request_counts: { total: plan.total, completed, failed },
      usage: { input_tokens: input, output_tokens: output, total_tokens: input + output },
      finalizing_at: now(),
      [`${status}_at`]: now(),
    };
    await batches.end(ended);
  }

  /** Undefined if it was deleted; then the batch fails. */
  async #inputOf(batch: Batch): Promise<string | undefined> {
    const { files } = this.#options;
    if (await files.find(batch.input_file_id)) return files.contentPath(batch.input_file_id);
    const message = "The input file was deleted.";
    await this.#fail(batch, [{ code: "input_file_missing", message, param: null, line: null }]);
    return undefined;
  }

  #fail(batch: Batch, data: NonNullable<Batch["errors"]>["data"]): Promise<void> {
    const errors = { object: "list" as const, data };
    return this.#options.batches.end({ ...batch, status: "failed", failed_at: now(), errors });
  }

  async #computeChunk(batch: Batch, { ends }: BatchPlan, chunk: number, stop: AbortSignal): Promise<void> {
    const { batches, metrics } = this.#options;
    const input = await this.#inputOf(batch);
    if (input === undefined) return;
    const lines = await readLines(input, ends[chunk - 1] ?? 0, ends[chunk]!);
    const checkpoint = batches.checkpoint(batch.id, chunk);
    const cancel = new AbortController();
    const look = async () => {
      if (await batches.isCancelled(batch.id)) cancel.abort();
    };
    await look();
    const timer = setInterval(() => void look().catch(() => {}), PAUSE_MILLISECONDS);
    const compute = async (index: number) => {
      stop.throwIfAborted();
      const result = await this.#computeLine(batch, lines[index]!, cancel.signal, stop);
      checkpoint.add([[index, result]]);
      metrics.batchLines.inc({ result: isGood(result) ? "completed" : "failed" });
    };
    try {
      for (const group of leftLines(checkpoint, lines.length).groups) {
        const done = await Promise.allSettled(this.#computeGroup(group, checkpoint, compute));
        const broken = done.find((one) => one.status === "rejected");
        if (!broken) continue;
        // The process lives: none of these lines ends it.
        checkpoint.leave(group);
        throw broken.reason;
      }
    } finally {
      clearInterval(timer);
    }
    for (const { index, crashes } of leftLines(checkpoint, lines.length).crashed) {
      const message = `The process ended ${crashes} times while it was at work on this request alone.`;
      checkpoint.add([[index, failed(lines[index]!, "crashed", message)]]);
    }
    await batches.savePart(
      batch.id,
      chunk,
      lines.map((_, index) => checkpoint.rows.get(index)!),
    );
    checkpoint.remove();
  }

  /** One line by itself has the whole process, so that no other line can be the reason if that ends. */
  #computeGroup(
    group: readonly number[],
    checkpoint: Checkpoint<BatchResult>,
    compute: (index: number) => Promise<void>,
  ): Promise<void>[] {
    const [first, ...others] = group;
    if (others.length > 0) {
      checkpoint.open(group);
      return group.map((index) => this.#slots.run(() => compute(index)));
    }
    const work = async () => {
      checkpoint.open(group);
      await compute(first!);
    };
    return [this.#slots.runAlone(work)];
  }

  /** Failures that come from the server's state are tried again. */
  async #computeLine(
    { endpoint, expires_at }: Batch,
    line: BatchLine,
    cancelled: AbortSignal,
    stop: AbortSignal,
  ): Promise<BatchResult> {
    const requestId = `req_${randomUUID().replaceAll("-", "")}`;
    const refused = (code: string, what: string) =>
      failed(line, code, `The batch was ${what} before this request was answered.`);
    for (;;) {
      if (cancelled.aborted) return refused("batch_cancelled", "cancelled");
      if (expires_at <= now()) return refused("batch_expired", "over its time");
      try {
        const body = await this.#options.execute(endpoint, line.body, { requestId, signal: cancelled });
        return answered(line, 200, requestId, body);
      } catch (error) {
        if (cancelled.aborted) continue;
        const failure = toApiError(error);
        if (failure.status !== 503) return answered(line, failure.status, requestId, failure.body);
        stop.throwIfAborted();
        await new Promise((wake) => setTimeout(wake, PAUSE_MILLISECONDS));
      }
    }
  }
}

/** The same for every process that ends the batch. */
const fileIdOf = (id: string, kind: string): string =>
  `file-${createHash("sha256").update(`${id} ${kind}`).digest("hex").slice(0, 32)}`;
