import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { drawAnswer, drawOnImage } from "florence2-webgpu/draw";
import type { Priority } from "../engine/admission.ts";
import type { Answered, Part, Question, Sequence } from "../engine/engine.ts";
import type { Answers, Call, Service } from "../engine/service.ts";
import { badRequest, toApiError } from "../http/errors.ts";
import type { ImageLoader, ImageReference } from "../images/load_image.ts";
import { taskLabel } from "./task_names.ts";

/** Who asks: a request of a person, or a line of a batch. */
export interface Asker {
  readonly requestId: string;
  readonly priority: Priority;
  /** Aborts when no one waits for the answer. */
  readonly signal: AbortSignal;
  /** Adds fields to the request's log line. */
  readonly note: (fields: Readonly<Record<string, unknown>>) => void;
}

export interface AskedImage {
  readonly width: number;
  readonly height: number;
  readonly tokens: number;
  readonly isCached: boolean;
  /** The image's file. */
  readonly file: Uint8Array;
}

export interface Asked {
  readonly image: AskedImage;
  /** In the order of the questions. */
  readonly answers: readonly Answered[];
}

const tracer = trace.getTracer("florence2-server");

/** Asks the model, from the reference of an image to the answers, and tells metrics, spans and the log. */
export class Asking {
  readonly #service: Service;
  readonly #loader: ImageLoader;
  readonly #maxTasks: number;

  constructor(service: Service, loader: ImageLoader, maxTasks: number) {
    this.#service = service;
    this.#loader = loader;
    this.#maxTasks = maxTasks;
  }

  async ask(reference: ImageReference, questions: readonly Question[], asker: Asker): Promise<Asked> {
    const count = questions.reduce((sum, { text }) => sum + (Array.isArray(text) ? text.length : 1), 0);
    if (count > this.#maxTasks)
      throw badRequest(
        "too_many_tasks",
        `The request asks ${count} questions; at most ${this.#maxTasks} are taken.`,
      );
    return this.#watch(questions, asker, async (call) => {
      const file = await this.#loader.load(reference, call.signal);
      const { answers, image, isCached } = await call.ask(file, questions);
      this.#noteAnswers(asker, call, { image, isCached, answers }, file);
      return { image: { ...sizeOf(image), isCached, file }, answers };
    });
  }

  /** Part by part. The first part comes when the model has begun: whatever is wrong before is thrown by the first `next`. */
  async *stream(
    reference: ImageReference,
    question: Question,
    asker: Asker,
  ): AsyncGenerator<Part & { image: AskedImage }> {
    const watch = this.#begin([question], asker);
    const { call } = watch;
    try {
      const file = await this.#loader.load(reference, call.signal);
      for await (const { image, isCached, ...part } of call.stream(file, question)) {
        if (part.answered)
          this.#noteAnswers(asker, call, { image, isCached, answers: [part.answered] }, file);
        yield { ...part, image: { ...sizeOf(image), isCached, file } };
      }
      watch.end();
    } catch (error) {
      watch.end(error);
      throw error;
    } finally {
      // A consumer that leaves early skips both.
      watch.end();
    }
  }

  async #watch<T>(
    questions: readonly Question[],
    asker: Asker,
    work: (call: Call) => Promise<T>,
  ): Promise<T> {
    const { call, run, end } = this.#begin(questions, asker);
    try {
      const result = await run(() => work(call));
      end();
      return result;
    } catch (error) {
      end(error);
      throw error;
    }
  }

  #begin(questions: readonly Question[], asker: Asker) {
    const call = this.#service.open(asker.priority, asker.signal);
    const begin = performance.now();
    const span = tracer.startSpan("chat florence2", {
      kind: SpanKind.INTERNAL,
      attributes: { "gen_ai.operation.name": "chat", "gen_ai.provider.name": "florence2-webgpu" },
    });
    let isOver = false;
    const end = (error?: unknown) => {
      if (isOver) return;
      isOver = true;
      const code = error === undefined ? "ok" : toApiError(error).code;
      for (const { task } of questions) {
        this.#service.metrics.requests.inc({ task: taskLabel(task), code });
        this.#service.metrics.requestSeconds.observe(
          { task: taskLabel(task) },
          (performance.now() - begin) / 1000,
        );
      }
      asker.note({
        task: questions.map(({ task }) => taskLabel(task)).join(","),
        queue_ms: Math.round(call.queueMs),
        inference_ms: Math.round(call.inferenceMs),
      });
      if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: code });
      span.end();
      call.close();
    };
    const run = <T>(work: () => Promise<T>) => context.with(trace.setSpan(context.active(), span), work);
    return { call, run, end };
  }

  #noteAnswers(asker: Asker, _call: Call, { image, isCached, answers }: Answers, file: Uint8Array): void {
    const output = answers.reduce((sum, { sequences }) => sum + countTokens(sequences), 0);
    asker.note({
      width: image.width,
      height: image.height,
      bytes: file.length,
      cached: isCached,
      prompt_tokens: sumOf(answers, "promptTokens"),
      output_tokens: output,
    });
    trace.getActiveSpan()?.setAttributes({ "gen_ai.usage.output_tokens": output });
  }
}

const sizeOf = ({ width, height, tokens }: Answers["image"]) => ({ width, height, tokens });

export const countTokens = (sequences: readonly Sequence[]): number =>
  sequences.reduce((sum, { tokenCount }) => sum + tokenCount, 0);

export const sumOf = (answers: readonly Answered[], field: "promptTokens" | "imageTokens"): number =>
  answers.reduce((sum, answered) => sum + answered[field], 0);

/** The image with an answer drawn onto it, as a data: URL. */
export async function annotate(
  file: Uint8Array,
  answer: unknown,
  image: AskedImage,
  kind: "png" | "svg",
): Promise<string> {
  type Drawn = Parameters<typeof drawAnswer>[0];
  if (kind === "png") return dataUrl("image/png", await drawOnImage(file, answer as Drawn));
  return dataUrl("image/svg+xml", Buffer.from(drawAnswer(answer as Drawn, image)));
}

const dataUrl = (type: string, bytes: Uint8Array) =>
  `data:${type};base64,${Buffer.from(bytes).toString("base64")}`;
