import { randomUUID } from "node:crypto";
import type { Answered, Question, Sequence } from "../engine/engine.ts";
import { badRequest, toApiError } from "../http/errors.ts";
import { dataEvent } from "../http/event_stream.ts";
import type { ImageReference } from "../images/load_image.ts";
import { isInWords } from "./answer_schemas.ts";
import { cutAtStop, ReadableStreamText, readableText } from "./answers.ts";
import { type AskedImage, type Asker, type Asking, annotate } from "./ask.ts";
import { type Render, type ResponseFormat, renderFor } from "./content.ts";
import { type DecodingRules, generationOf } from "./generation.ts";
import type { ModelNames } from "./model_names.ts";
import { promptOf } from "./prompt.ts";
import type { ChatRequest } from "./request_schemas.ts";
import { usageOf } from "./usage.ts";

export interface OpenAiRules extends DecodingRules {
  readonly defaultTask: string;
  readonly maxImageBytes: number;
}

/** A chat request, read and checked. */
interface Chat {
  readonly id: string;
  readonly created: number;
  readonly model: string;
  readonly image: ImageReference;
  readonly ask: Question;
  readonly render: Render;
  /** The content can be sent piece by piece. */
  readonly isPlainText: boolean;
  readonly stops: readonly string[];
  readonly withLogProbs: boolean;
  readonly withUsage: boolean;
  readonly annotated: "png" | "svg" | undefined;
}

/** /v1/chat/completions. */
export class ChatCompletions {
  readonly #asking: Asking;
  readonly #names: ModelNames;
  readonly #rules: OpenAiRules;

  constructor(asking: Asking, names: ModelNames, rules: OpenAiRules) {
    this.#asking = asking;
    this.#names = names;
    this.#rules = rules;
  }

  async answer(request: ChatRequest, asker: Asker) {
    const chat = this.#read(request);
    const { image, answers } = await this.#asking.ask(chat.image, [chat.ask], asker);
    const [answered] = answers as [Answered];
    const choices = await Promise.all(
      answered.sequences.map((sequence, i) => choiceOf(chat, image, answered, sequence, i)),
    );
    return { ...headOf(chat, "chat.completion"), choices, usage: usageOf(image, [answered]) };
  }

  /**
   * The events of a stream, the first as soon as the request is known to be good: errors before are thrown by the
   * first `next`, later ones become an event.
   */
  async *stream(request: ChatRequest, asker: Asker): AsyncGenerator<string, void, undefined> {
    const chat = this.#read(request);
    const head = { ...headOf(chat, "chat.completion.chunk"), ...(chat.withUsage && { usage: null }) };
    const chunk = (index: number, delta: object, finish: string | null = null, logprobs: unknown = null) =>
      dataEvent({ ...head, choices: [{ index, delta, logprobs, finish_reason: finish }] });
    let hasBegun = false;
    try {
      const text = new ReadableStreamText(chat.stops);
      for await (const { image, text: part, answered } of this.#parts(chat, asker)) {
        if (!hasBegun) {
          const count = chat.ask.generation.numReturnSequences ?? 1;
          for (let i = 0; i < count; i++) yield chunk(i, { role: "assistant", content: "", refusal: null });
          hasBegun = true;
        }
        const piece = chat.isPlainText && part ? text.push(part).text : "";
        if (piece) yield chunk(0, { content: piece });
        if (!answered) continue;
        for (const [i, sequence] of answered.sequences.entries()) {
          const { message, logprobs, finish_reason } = await choiceOf(chat, image, answered, sequence, i);
          const rest = i === 0 && chat.isPlainText ? text.end(message.content) : message.content;
          yield chunk(i, { content: rest, florence2: message.florence2 }, null, logprobs);
          yield chunk(i, {}, finish_reason);
        }
        if (chat.withUsage) yield dataEvent({ ...head, choices: [], usage: usageOf(image, [answered]) });
      }
      yield "data: [DONE]\n\n";
    } catch (error) {
      if (!hasBegun) throw error;
      yield dataEvent(toApiError(error).body);
    }
  }

  /** One stream of parts, or all answers as its only part where there are several. */
  async *#parts(chat: Chat, asker: Asker) {
    if ((chat.ask.generation.numReturnSequences ?? 1) === 1) {
      yield* this.#asking.stream(chat.image, chat.ask, asker);
      return;
    }
    const { image, answers } = await this.#asking.ask(chat.image, [chat.ask], asker);
    yield { image, text: "", answered: answers[0] };
  }

  #read(request: ChatRequest): Chat {
    this.#names.expect(request.model);
    expectSupported(request);
    const { task, text, image } = promptOf(
      request.messages,
      request,
      this.#rules.defaultTask,
      this.#rules.maxImageBytes,
    );
    const format = formatOf(request);
    return {
      id: `chatcmpl-${randomUUID().replaceAll("-", "")}`,
      created: Math.floor(Date.now() / 1000),
      model: request.model,
      image,
      ask: {
        task,
        text,
        region: request.region,
        coordinates: request.coordinates,
        generation: generationOf(
          { ...request, max_tokens: request.max_completion_tokens ?? request.max_tokens },
          this.#rules,
        ),
      },
      render: renderFor(format, task, "response_format"),
      isPlainText: format.type === "text" && isInWords(task),
      stops: [request.stop ?? []].flat().filter(Boolean),
      withLogProbs: request.logprobs ?? false,
      withUsage: request.stream_options?.include_usage ?? false,
      annotated: request.annotated || undefined,
    };
  }
}

function expectSupported(request: ChatRequest): void {
  const unsupported = (param: string, why: string) => badRequest("unsupported_parameter", why, param);
  if (request.stream_options && !request.stream)
    throw unsupported("stream_options", "stream_options needs stream.");
  if (
    request.tool_choice === "required" ||
    (typeof request.tool_choice === "object" && request.tool_choice !== null)
  )
    throw unsupported("tool_choice", "The model calls no tools.");
  if (request.modalities?.some((kind) => kind !== "text"))
    throw unsupported("modalities", "The model answers in text alone.");
  if ((request.top_logprobs ?? 0) > 0)
    throw unsupported(
      "top_logprobs",
      "Only the probabilities of the chosen tokens are known: leave top_logprobs out.",
    );
}

function formatOf({ response_format: format }: ChatRequest): ResponseFormat {
  if (format?.type !== "json_schema") return { type: format?.type ?? "text" };
  return { type: "json_schema", schema: format.json_schema.schema ?? {} };
}

const headOf = ({ id, created, model }: Chat, object: string) => ({
  id,
  object,
  created,
  model,
  service_tier: "default",
  system_fingerprint: "fp_florence2",
});

async function choiceOf(
  chat: Chat,
  image: AskedImage,
  answered: Answered,
  sequence: Sequence,
  index: number,
) {
  const { text: content, isStopped } = cutAtStop(chat.render(sequence), chat.stops);
  return {
    index,
    message: {
      role: "assistant",
      content,
      refusal: null,
      annotations: [],
      florence2: await typedAnswer(chat.ask.task, image, answered, sequence, chat.annotated),
    },
    logprobs: chat.withLogProbs ? { content: sequence.tokens.map(logProbOf), refusal: null } : null,
    finish_reason: isStopped ? "stop" : sequence.finishReason,
  };
}

/** The fields beside the readable text: the answer in the task's own shape, objects, scores and tokens. */
export async function typedAnswer(
  task: string,
  image: AskedImage,
  answered: Answered,
  sequence: Sequence,
  annotated: "png" | "svg" | undefined,
) {
  const { answer, objects, score, finishReason } = sequence;
  return {
    task,
    answer,
    text: readableText(sequence),
    objects,
    width: image.width,
    height: image.height,
    score,
    finish_reason: finishReason,
    ...(answered.sequences.length > 1 && {
      sequence_scores: answered.sequences.map((one) => one.score),
    }),
    ...(answered.warnings?.length && { warnings: answered.warnings }),
    ...(annotated && { annotated: await annotate(image.file, answer, image, annotated) }),
  };
}

/** Clients cannot read -Infinity. */
const UNLIKELY = -9999;

function logProbOf({ text, logProb }: Sequence["tokens"][number]) {
  return {
    token: text,
    logprob: Math.max(logProb, UNLIKELY),
    bytes: [...Buffer.from(text)],
    top_logprobs: [],
  };
}
