import type { ServerContext } from "@modelcontextprotocol/server";
import type { Answered, Question } from "../engine/engine.ts";
import type { ImageLimits } from "../engine/florence2_engine.ts";
import type { Service } from "../engine/service.ts";
import { taskOf } from "../engine/task_names.ts";
import { badRequest } from "../http/errors.ts";
import { decodeBase64 } from "../images/data_url.ts";
import type { ImageLoader, ImageReference } from "../images/load_image.ts";
import type { Asking } from "../openai/ask.ts";
import { KeptImages } from "./kept_images.ts";
import type { ImageArgument } from "./schemas.ts";
import { describeProgress, untilReady } from "./wait.ts";

/** The model, images and limits that tools work with. */
export interface ToolParts {
  readonly service: Service;
  readonly asking: Asking;
  readonly loader: ImageLoader;
  readonly kept: KeptImages;
  readonly limits: ImageLimits;
  /** Reads a file of this machine that callers may see; a server for others has none. */
  readonly readPath?: ((path: string) => Promise<Uint8Array>) | undefined;
  /** The model is the bundled checkpoint. */
  readonly isBundled: boolean;
  /** Callers are who started the program: they are told why it cannot load its model. */
  readonly isLocal: boolean;
  /** How long a call waits for the model, in milliseconds. */
  readonly patience: number;
}

/** Fields of a call's log line. */
export type Note = (fields: Readonly<Record<string, unknown>>) => void;

export interface AskedImage {
  readonly id: string;
  readonly file: Uint8Array;
  readonly width: number;
  readonly height: number;
}

const PARAM = "image";
const PROGRESS_MILLISECONDS = 1000;

type QuestionFields = Pick<Question, "text" | "region">;

/** One call of a tool. */
export class Visit {
  readonly #parts: ToolParts;
  readonly #note: Note;
  readonly #context: ServerContext;
  /** Aborts when the caller no longer wants the answer. */
  readonly signal: AbortSignal;

  constructor(parts: ToolParts, context: ServerContext, note: Note) {
    this.#parts = parts;
    this.#context = context;
    this.#note = note;
    const { req } = context.http ?? {};
    this.signal = req ? AbortSignal.any([context.mcpReq.signal, req.signal]) : context.mcpReq.signal;
  }

  get limits(): ImageLimits {
    return this.#parts.limits;
  }

  /** Asks about an image, which is looked at once, whatever is asked about it and however often. */
  async ask(
    image: ImageArgument,
    questions: readonly (readonly [task: string, fields?: QuestionFields])[],
  ): Promise<{ readonly image: AskedImage; readonly answers: readonly Answered[] }> {
    const { service, asking } = this.#parts;
    // Before the wait for the model: a bad image is refused at once.
    const reference = await this.#referenceOf(image);
    const stop = this.#reportProgress();
    try {
      await untilReady(service, this.signal, this.#parts);
      const asked = await asking.ask(
        reference,
        questions.map(([task, fields]) => ({ task: taskOf(task), ...fields, generation: {} })),
        {
          requestId: String(this.#context.mcpReq.id),
          priority: "interactive",
          signal: this.signal,
          note: this.#note,
        },
      );
      const { file, width, height } = asked.image;
      return { image: { id: this.keep(file), file, width, height }, answers: asked.answers };
    } finally {
      stop();
    }
  }

  /** The bytes of an image, without the model. */
  async fileOf(image: ImageArgument): Promise<Uint8Array> {
    return this.#parts.loader.load(await this.#referenceOf(image), this.signal);
  }

  /** The id by which later calls can name an image. */
  keep(file: Uint8Array): string {
    return this.#parts.kept.keep(file);
  }

  async #referenceOf(image: ImageArgument): Promise<ImageReference> {
    const { kept, readPath, limits } = this.#parts;
    if (typeof image !== "string") {
      if ("url" in image) return { url: image.url, param: PARAM };
      if ("data" in image) return { bytes: decodeBase64(image.data, limits.maxBytes, PARAM), param: PARAM };
      if ("image_id" in image) return { bytes: kept.get(image.image_id, PARAM), param: PARAM };
    }
    const text = typeof image === "string" ? image.trim() : image.path;
    if (typeof image === "string") {
      if (KeptImages.isId(text)) return { bytes: kept.get(text, PARAM), param: PARAM };
      // A drive of Windows has one letter.
      if (/^data:|^[a-z][a-z0-9+.-]+:\/\//i.test(text)) return { url: text, param: PARAM };
    }
    if (readPath) return { bytes: await readPath(text), param: PARAM };
    if (text.startsWith("file-")) return { fileId: text, param: PARAM };
    throw badRequest(
      "path_not_allowed",
      "This server reads no files by their paths: send an https: or data: URL, { data } in base64, or an image_id.",
      PARAM,
    );
  }

  /** Sends progress every second to callers that asked for it. */
  #reportProgress(): () => void {
    const { mcpReq } = this.#context;
    const progressToken = mcpReq._meta?.progressToken;
    if (progressToken === undefined) return () => {};
    const { service } = this.#parts;
    const begin = performance.now();
    const tell = () => {
      const isLoading = service.state === "loading" || service.state === "lost";
      const message = isLoading
        ? `Loading the model: ${describeProgress(service.loadProgress)}`
        : "Looking at the image";
      const progress = Math.round(performance.now() - begin) / 1000;
      // A caller that has left is none of the tool's business.
      mcpReq
        .notify({ method: "notifications/progress", params: { progressToken, progress, message } })
        .catch(() => {});
    };
    tell();
    const timer = setInterval(tell, PROGRESS_MILLISECONDS);
    return () => clearInterval(timer);
  }
}
