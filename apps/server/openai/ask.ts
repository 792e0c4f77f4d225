import { drawAnswer, drawOnImage } from "florence2-webgpu/draw";
import type { Priority } from "../engine/admission.ts";
import type { Answers, Call } from "../engine/call.ts";
import type { Answered, Part, Question } from "../engine/engine.ts";
import { readAhead } from "../engine/read_ahead.ts";
import type { Service } from "../engine/service.ts";
import { badRequest, ClientGone } from "../http/errors.ts";
import type { ImageLoader, ImageReference } from "../images/load_image.ts";
import { Attempt } from "./attempt.ts";

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
  readonly times: Times;
}

/** In milliseconds. */
export interface Times {
  /** Waiting for a turn at the model. */
  readonly queue: number;
  /** Decoding the image and looking at it; next to nothing where it had been looked at before. */
  readonly image: number;
  /** All answers. */
  readonly answers: number;
}

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
    const attempt = new Attempt(this.#service, questions, asker);
    try {
      const { call } = attempt;
      return await attempt.within(async () => {
        const file = await this.#loader.load(reference, call.signal);
        const { answers, image, isCached } = await call.ask(file, questions);
        attempt.note({ answers, image, isCached }, file);
        attempt.end();
        return { image: { ...sizeOf(image), isCached, file }, answers, times: timesOf(call) };
      });
    } catch (error) {
      attempt.end(error);
      throw error;
    }
  }

  /** Part by part. The first part comes when the model has begun: whatever is wrong before is thrown by the first `next`. */
  async *stream(
    reference: ImageReference,
    question: Question,
    asker: Asker,
  ): AsyncGenerator<Part & { image: AskedImage }> {
    const attempt = new Attempt(this.#service, [question], asker);
    const { call } = attempt;
    try {
      const file = await this.#loader.load(reference, call.signal);
      for await (const { image, isCached, ...part } of readAhead(call.stream(file, question))) {
        if (part.answered) attempt.note({ image, isCached, answers: [part.answered] }, file);
        yield { ...part, image: { ...sizeOf(image), isCached, file } };
      }
      attempt.end();
    } catch (error) {
      attempt.end(error);
      throw error;
    } finally {
      // A reader that leaves skips both.
      attempt.end(new ClientGone());
    }
  }
}

const timesOf = ({ queueMs, imageMs, inferenceMs }: Call): Times => ({
  queue: queueMs,
  image: imageMs,
  answers: inferenceMs - imageMs,
});

const sizeOf = ({ width, height, tokens }: Answers["image"]) => ({ width, height, tokens });

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
