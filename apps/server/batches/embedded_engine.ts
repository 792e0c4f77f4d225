import { randomUUID } from "node:crypto";
import { type FileStore, newFileId } from "../files/file_store.ts";
import { toApiError } from "../http/errors.ts";
import type { Log } from "../http/log.ts";
import type { Metrics } from "../operations/metrics.ts";
import {
  type Batch,
  type BatchEngine,
  type BatchLine,
  type BatchResult,
  type Endpoint,
  isFinished,
} from "./batch.ts";
import type { BatchStore } from "./batch_store.ts";
import { checkLines, readLines } from "./read_lines.ts";
import { ResultsFile } from "./results.ts";

/** Answers one request as its endpoint would. Throws what the endpoint would answer with. */
export type Execute = (
  endpoint: Endpoint,
  body: Record<string, unknown>,
  context: { readonly requestId: string; readonly signal: AbortSignal },
) => Promise<object>;

export interface EmbeddedEngineOptions {
  readonly files: FileStore;
  readonly batches: BatchStore;
  readonly execute: Execute;
  /** Lines that are asked about at the same time. */
  readonly concurrency: number;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** How often the counts of a running batch are written down. */
const SAVE_MILLISECONDS = 1000;
const RETRY_MILLISECONDS = 1000;

const now = () => Math.floor(Date.now() / 1000);

/**
 * Computes batches in this process, one after another, lines behind the requests of people. Every result is written
 * as it comes, so that after a restart only what has no result is computed.
 */
export class EmbeddedBatchEngine implements BatchEngine {
  readonly #options: EmbeddedEngineOptions;
  readonly #queue: Batch[] = [];
  readonly #stop = new AbortController();
  readonly #cancelled = new Map<string, AbortController>();
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;

  constructor(options: EmbeddedEngineOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const batches = await this.#options.batches.list();
    for (const batch of batches) if (!isFinished(batch)) this.submit(batch);
  }

  submit(batch: Batch): void {
    this.#queue.push(batch);
    if (this.#isWorking) return;
    this.#isWorking = true;
    this.#working = this.#work();
  }

  async cancel(batch: Batch): Promise<void> {
    batch.status = "cancelling";
    batch.cancelling_at = now();
    await this.#options.batches.save(batch);
    this.#cancelled.get(batch.id)?.abort();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#working;
  }

  async #work(): Promise<void> {
    for (let batch = this.#queue.shift(); batch; batch = this.#queue.shift()) {
      if (this.#stop.signal.aborted) break;
      try {
        await this.#run(batch);
      } catch (error) {
        this.#options.log({
          level: "error",
          event: "batch_failed",
          batch: batch.id,
          error: String(error).slice(0, 500),
        });
        await this.#fail(
          batch,
          "internal_error",
          "The server could not compute the batch; its log has the details.",
        ).catch(() => {});
      }
    }
    this.#isWorking = false;
  }

  async #fail(batch: Batch, code: string, message: string): Promise<void> {
    batch.status = "failed";
    batch.failed_at = now();
    batch.errors = { object: "list", data: [{ code, message, param: null, line: null }] };
    await this.#options.batches.save(batch);
  }

  async #run(batch: Batch): Promise<void> {
    const { files, batches } = this.#options;
    if (!(await files.find(batch.input_file_id)))
      return this.#fail(batch, "input_file_missing", "The input file was deleted.");
    const input = files.contentPath(batch.input_file_id);
    if (batch.request_counts.total === 0) {
      const { total, errors } = await checkLines(input, batch.endpoint);
      if (errors.length > 0) {
        batch.status = "failed";
        batch.failed_at = now();
        batch.errors = { object: "list", data: errors };
        return batches.save(batch);
      }
      batch.request_counts.total = total;
      if (batch.status === "validating") batch.status = "in_progress";
      batch.in_progress_at = now();
      await batches.save(batch);
    }
    await this.#compute(batch, input);
  }

  async #compute(batch: Batch, input: string): Promise<void> {
    const { batches } = this.#options;
    const [output, failures] = [
      new ResultsFile(batches.resultsPath(batch, "output")),
      new ResultsFile(batches.resultsPath(batch, "error")),
    ];
    const done = new Set<string>();
    batch.usage = { input_tokens: 0, output_tokens: 0, total_tokens: 0 };
    const note = (result: BatchResult) => {
      done.add(result.custom_id);
      addUsage(batch, result);
    };
    if (batch.status !== "finalizing") {
      await output.open(note);
      await failures.open(note);
      const count = () =>
        Object.assign(batch.request_counts, { completed: output.lines, failed: failures.lines });
      count();
      const timer = setInterval(() => void batches.save(batch).catch(() => {}), SAVE_MILLISECONDS);
      try {
        await this.#computeLines(batch, input, done, async (result) => {
          const isGood = result.error === null && result.response!.status_code < 400;
          await (isGood ? output : failures).append(result);
          this.#options.metrics.batchLines.inc({ result: isGood ? "completed" : "failed" });
          addUsage(batch, result);
          count();
        });
      } finally {
        clearInterval(timer);
        await output.close();
        await failures.close();
      }
      if (this.#stop.signal.aborted && !isOver(batch)) return batches.save(batch);
      // Decided before the files are moved: after a crash the same ids are taken.
      batch.output_file_id = output.lines > 0 ? newFileId() : null;
      batch.error_file_id = failures.lines > 0 ? newFileId() : null;
      batch.finalizing_at = now();
      if (batch.status === "in_progress") batch.status = "finalizing";
      await batches.save(batch);
    }
    await this.#finish(batch, output.path, failures.path);
  }

  async #finish(batch: Batch, output: string, failures: string): Promise<void> {
    const { files, batches } = this.#options;
    const expiresAfter = batch.output_expires_after ?? undefined;
    for (const [id, path, kind] of [
      [batch.output_file_id, output, "output"],
      [batch.error_file_id, failures, "error"],
    ] as const) {
      if (id)
        await files.adopt(path, {
          id,
          filename: `${batch.id}_${kind}.jsonl`,
          purpose: "batch_output",
          expiresAfter,
        });
    }
    if (batch.status === "cancelling") {
      batch.status = "cancelled";
      batch.cancelled_at = now();
    } else if (
      batch.expires_at <= now() &&
      batch.request_counts.completed + batch.request_counts.failed < batch.request_counts.total
    ) {
      batch.status = "expired";
      batch.expired_at = now();
    } else {
      batch.status = "completed";
      batch.completed_at = now();
    }
    await batches.save(batch);
  }

  /** Computes the lines without a result, several at a time; those that a cancelled or expired batch leaves get an error. */
  async #computeLines(
    batch: Batch,
    input: string,
    done: ReadonlySet<string>,
    write: (result: BatchResult) => Promise<void>,
  ): Promise<void> {
    const cancel = new AbortController();
    this.#cancelled.set(batch.id, cancel);
    if (batch.status === "cancelling") cancel.abort();
    const running = new Set<Promise<void>>();
    try {
      for await (const line of readLines(input)) {
        if (this.#stop.signal.aborted) break;
        if (done.has(line.custom_id)) continue;
        if (isOver(batch)) {
          const [code, what] =
            batch.status === "cancelling"
              ? ["batch_cancelled", "cancelled"]
              : ["batch_expired", "over its time"];
          await write(failed(line, code!, `The batch was ${what} before this request was begun.`));
          continue;
        }
        const run = this.#computeLine(batch, line, cancel.signal).then(async (result) => {
          if (result) await write(result);
        });
        const tracked: Promise<void> = run.finally(() => running.delete(tracked));
        tracked.catch(() => {});
        running.add(tracked);
        if (running.size >= this.#options.concurrency) await Promise.race(running);
      }
    } finally {
      await Promise.all(running);
      this.#cancelled.delete(batch.id);
    }
  }

  /** A line's result; none if the server stops before it is there. What only the server's state prevents is tried again. */
  async #computeLine(
    batch: Batch,
    line: BatchLine,
    cancelled: AbortSignal,
  ): Promise<BatchResult | undefined> {
    const requestId = `req_${randomUUID().replaceAll("-", "")}`;
    for (;;) {
      try {
        const body = await this.#options.execute(batch.endpoint, line.body, { requestId, signal: cancelled });
        return answered(line, 200, requestId, body);
      } catch (error) {
        if (cancelled.aborted)
          return failed(line, "batch_cancelled", "The batch was cancelled before this request was answered.");
        const failure = toApiError(error);
        if (failure.status !== 503) return answered(line, failure.status, requestId, failure.body);
        if (this.#stop.signal.aborted) return undefined;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
      }
    }
  }
}

const isOver = (batch: Batch): boolean => batch.status === "cancelling" || batch.expires_at <= now();

const newId = () => `batch_req_${randomUUID().replaceAll("-", "")}`;

function answered({ custom_id }: BatchLine, status: number, requestId: string, body: unknown): BatchResult {
  return {
    id: newId(),
    custom_id,
    response: { status_code: status, request_id: requestId, body },
    error: null,
  };
}

function failed({ custom_id }: BatchLine, code: string, message: string): BatchResult {
  return { id: newId(), custom_id, response: null, error: { code, message } };
}

interface Usage {
  readonly prompt_tokens?: number;
  readonly completion_tokens?: number;
  readonly input_tokens?: number;
  readonly output_tokens?: number;
}

function addUsage({ usage }: Batch, { response }: BatchResult): void {
  const found = (response?.body as { readonly usage?: Usage } | null | undefined)?.usage;
  if (!found) return;
  usage.input_tokens += found.prompt_tokens ?? found.input_tokens ?? 0;
  usage.output_tokens += found.completion_tokens ?? found.output_tokens ?? 0;
  usage.total_tokens = usage.input_tokens + usage.output_tokens;
}
