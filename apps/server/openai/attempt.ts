import { context, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Answers, Call } from "../engine/call.ts";
import type { Question } from "../engine/engine.ts";
import type { Service } from "../engine/service.ts";
import { taskLabel } from "../engine/task_names.ts";
import { toApiError } from "../http/errors.ts";
import type { Asker } from "./ask.ts";
import { countTokens, sumOf } from "./usage.ts";

const tracer = trace.getTracer("florence2-server");

/** A request at the model, from its acceptance to its end, for metrics, spans and the log. */
export class Attempt {
  readonly call: Call;
  readonly #service: Service;
  readonly #questions: readonly Question[];
  readonly #asker: Asker;
  readonly #begin = performance.now();
  readonly #span: Span;
  #isOver = false;

  /** @throws {ApiError} 429 or 503 if the request is not accepted */
  constructor(service: Service, questions: readonly Question[], asker: Asker) {
    this.call = service.open(asker.priority, asker.signal);
    this.#service = service;
    this.#questions = questions;
    this.#asker = asker;
    // Also when no one comes back for the answer, as a reader that stopped reading.
    this.call.signal.addEventListener("abort", () => this.end(this.call.signal.reason), { once: true });
    // Names of OpenTelemetry's conventions for generative models.
    this.#span = tracer.startSpan("chat florence2", {
      kind: SpanKind.INTERNAL,
      attributes: {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "florence2-webgpu",
        "florence2.tasks": this.#tasks,
      },
    });
  }

  get #tasks(): string[] {
    return this.#questions.map(({ task }) => taskLabel(task));
  }

  /** Does work with the attempt's span as the parent of its spans. */
  within<T>(work: () => Promise<T>): Promise<T> {
    return context.with(trace.setSpan(context.active(), this.#span), work);
  }

  note({ image, isCached, answers }: Answers, file: Uint8Array): void {
    const [input, output] = [
      sumOf(answers, "promptTokens"),
      answers.reduce((sum, { sequences }) => sum + countTokens(sequences), 0),
    ];
    this.#asker.note({
      width: image.width,
      height: image.height,
      bytes: file.length,
      cached: isCached,
      prompt_tokens: input,
      output_tokens: output,
    });
    this.#span.setAttributes({
      "gen_ai.usage.input_tokens": input,
      "gen_ai.usage.output_tokens": output,
      "gen_ai.response.finish_reasons": answers.flatMap(({ sequences }) =>
        sequences.map(({ finishReason }) => finishReason),
      ),
    });
  }

  /** The first call counts. */
  end(error?: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const code = error === undefined ? "ok" : toApiError(error).code;
    const { requests, requestSeconds } = this.#service.metrics;
    for (const task of this.#tasks) {
      requests.inc({ task, code });
      requestSeconds.observe({ task }, (performance.now() - this.#begin) / 1000);
    }
    this.#asker.note({
      task: this.#tasks.join(","),
      queue_ms: Math.round(this.call.queueMs),
      inference_ms: Math.round(this.call.inferenceMs),
    });
    if (error !== undefined) this.#span.setStatus({ code: SpanStatusCode.ERROR, message: code });
    this.#span.end();
    this.call.close();
  }
}
