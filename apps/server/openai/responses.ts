import { randomUUID } from "node:crypto";
import type { Answered, Question } from "../engine/engine.ts";
import { badRequest, toApiError } from "../http/errors.ts";
import { namedEvent } from "../http/event_stream.ts";
import type { ImageReference } from "../images/load_image.ts";
import { isInWords } from "./answer_schemas.ts";
import { ReadableStreamText } from "./answers.ts";
import type { AskedImage, Asker, Asking } from "./ask.ts";
import { type OpenAiRules, typedAnswer } from "./chat.ts";
import { type Render, type ResponseFormat, renderFor } from "./content.ts";
import { generationOf } from "./generation.ts";
import type { ModelNames } from "./model_names.ts";
import { promptOf } from "./prompt.ts";
import type { Message, ResponsesRequest } from "./request_schemas.ts";
import { usageOf } from "./usage.ts";

interface Pending {
  readonly request: ResponsesRequest;
  readonly id: string;
  readonly messageId: string;
  readonly createdAt: number;
  readonly image: ImageReference;
  readonly ask: Question;
  readonly render: Render;
  readonly isPiecewise: boolean;
}

/** /v1/responses, without a memory: every request is complete in itself. */
export class Responses {
  readonly #asking: Asking;
  readonly #names: ModelNames;
  readonly #rules: OpenAiRules;

  constructor(asking: Asking, names: ModelNames, rules: OpenAiRules) {
    this.#asking = asking;
    this.#names = names;
    this.#rules = rules;
  }

  async answer(request: ResponsesRequest, asker: Asker) {
    const pending = this.#read(request);
    const { image, answers } = await this.#asking.ask(pending.image, [pending.ask], asker);
    const [answered] = answers as [Answered];
    return completed(pending, image, answered);
  }

  /** The events of a stream; errors before the first are thrown by the first `next`. */
  async *stream(request: ResponsesRequest, asker: Asker): AsyncGenerator<string, void, undefined> {
    const pending = this.#read(request);
    let count = 0;
    const event = (type: string, fields: object) =>
      namedEvent({ type, sequence_number: count++, ...fields } as { type: string });
    const place = { item_id: pending.messageId, output_index: 0, content_index: 0 };
    try {
      const text = new ReadableStreamText([]);
      for await (const { image, text: part, answered } of this.#asking.stream(
        pending.image,
        pending.ask,
        asker,
      )) {
        if (count === 0) {
          const response = responseOf(pending, "in_progress");
          yield event("response.created", { response });
          yield event("response.in_progress", { response });
          yield event("response.output_item.added", {
            output_index: 0,
            item: messageOf(pending, "in_progress", []),
          });
          yield event("response.content_part.added", { ...place, part: textPart("") });
        }
        const piece = pending.isPiecewise && part ? text.push(part).text : "";
        if (piece) yield event("response.output_text.delta", { ...place, delta: piece, logprobs: [] });
        if (!answered) continue;
        const response = await completed(pending, image, answered);
        const [item] = response.output;
        const [content] = item!.content;
        const rest = pending.isPiecewise ? text.end(content!.text) : content!.text;
        if (rest) yield event("response.output_text.delta", { ...place, delta: rest, logprobs: [] });
        yield event("response.output_text.done", { ...place, text: content!.text, logprobs: [] });
        yield event("response.content_part.done", { ...place, part: content });
        yield event("response.output_item.done", { output_index: 0, item });
        yield event(`response.${response.status}`, { response });
      }
    } catch (error) {
      if (count === 0) throw error;
      const { code, message } = toApiError(error);
      yield event("response.failed", {
        response: { ...responseOf(pending, "failed"), error: { code, message } },
      });
    }
  }

  #read(request: ResponsesRequest): Pending {
    this.#names.expect(request.model);
    if (request.previous_response_id)
      throw badRequest(
        "unsupported_parameter",
        "Responses are not kept: send the whole conversation in input.",
        "previous_response_id",
      );
    const { task, text, image } = promptOf(
      messagesOf(request.input),
      { task: request.task, text: isText(request.text) ? request.text : undefined },
      this.#rules.defaultTask,
      this.#rules.maxImageBytes,
    );
    const format = formatOf(request);
    return {
      request,
      id: `resp_${randomUUID().replaceAll("-", "")}`,
      messageId: `msg_${randomUUID().replaceAll("-", "")}`,
      createdAt: now(),
      image,
      ask: {
        task,
        text,
        region: request.region,
        coordinates: request.coordinates,
        generation: generationOf({ ...request, max_tokens: request.max_output_tokens }, this.#rules),
      },
      render: renderFor(format, task, "text.format"),
      isPiecewise: format.type === "text" && isInWords(task),
    };
  }
}

type TextField = ResponsesRequest["text"];

const isText = (text: TextField): text is string | string[] =>
  typeof text === "string" || Array.isArray(text);

const now = () => Math.floor(Date.now() / 1000);

/** A string is a message of the user; items without a role (calls, reasoning) mean nothing to the model. */
function messagesOf(input: ResponsesRequest["input"]): Message[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  return input.map((item) => ({ ...item, role: item.role ?? "" }) as Message);
}

function formatOf({ text }: ResponsesRequest): ResponseFormat {
  const format = text && !isText(text) ? text.format : undefined;
  if (format?.type !== "json_schema") return { type: format?.type ?? "text" };
  return { type: "json_schema", schema: format.schema ?? {} };
}

const textPart = (text: string) => ({ type: "output_text" as const, text, annotations: [], logprobs: [] });

const messageOf = (
  { messageId }: Pending,
  status: string,
  content: readonly ReturnType<typeof textPart>[],
) => ({
  id: messageId,
  type: "message" as const,
  status,
  role: "assistant" as const,
  content,
});

/** The response, with the fields of its request that it echoes. */
function responseOf({ id, createdAt, request }: Pending, status: "in_progress" | "failed") {
  return {
    id,
    object: "response" as const,
    created_at: createdAt,
    status: status as string,
    background: false,
    error: null,
    incomplete_details: null as { reason: string } | null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    metadata: request.metadata ?? {},
    model: request.model,
    output: [] as ReturnType<typeof messageOf>[],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: false,
    temperature: request.temperature ?? null,
    text: request.text && !isText(request.text) ? request.text : { format: { type: "text" } },
    tool_choice: "auto",
    tools: [],
    top_p: request.top_p ?? null,
    truncation: request.truncation ?? "disabled",
    usage: null as ReturnType<typeof responseUsage> | null,
    user: null,
  };
}

async function completed(pending: Pending, image: AskedImage, answered: Answered) {
  const [sequence] = answered.sequences;
  const isWhole = sequence.finishReason === "stop";
  const status = isWhole ? "completed" : "incomplete";
  const annotated = pending.request.annotated || undefined;
  return {
    ...responseOf(pending, "in_progress"),
    status,
    completed_at: now(),
    incomplete_details: isWhole ? null : { reason: "max_output_tokens" },
    output: [messageOf(pending, status, [textPart(pending.render(sequence))])],
    usage: responseUsage(image, answered),
    florence2: await typedAnswer(pending.ask.task, image, answered, sequence, annotated),
  };
}

function responseUsage(image: AskedImage, answered: Answered) {
  const { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details } = usageOf(image, [
    answered,
  ]);
  return {
    input_tokens: prompt_tokens,
    input_tokens_details: prompt_tokens_details,
    output_tokens: completion_tokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens,
  };
}
