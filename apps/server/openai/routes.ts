import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Service } from "../engine/service.ts";
import { type BodyLimits, readJson, validate } from "../http/body.ts";
import type { AppContext, Variables } from "../http/context.ts";
import { ApiError } from "../http/errors.ts";
import { eventStream } from "../http/event_stream.ts";
import { describeRoute } from "../operations/openapi.ts";
import { chatCompletion, modelList, modelObject, responseForm } from "./answer_forms.ts";
import { taskList } from "./answer_schemas.ts";
import type { Asker } from "./ask.ts";
import type { ChatCompletions } from "./chat.ts";
import type { ModelNames } from "./model_names.ts";
import { chatRequest, responsesRequest } from "./request_schemas.ts";
import type { Responses } from "./responses.ts";

export interface OpenAiParts {
  readonly service: Service;
  readonly chat: ChatCompletions;
  readonly responses: Responses;
  readonly names: ModelNames;
  readonly limits: BodyLimits;
}

export type App = OpenAPIHono<{ Variables: Variables }>;

export function addOpenAiRoutes(app: App, { service, chat, responses, names, limits }: OpenAiParts): void {
  describeRoute(app, {
    method: "post",
    path: "/v1/chat/completions",
    summary: "Ask about an image in a conversation",
    request: chatRequest,
    answer: chatCompletion,
    isStreaming: true,
  });
  app.post("/v1/chat/completions", async (c) => {
    service.expectRoom();
    const body = validate(chatRequest, await readJson(c.req.raw, limits));
    return body.stream
      ? stream(c, (asker) => chat.stream(body, asker))
      : rateLimited(c, service, await chat.answer(body, askerOf(c)));
  });

  describeRoute(app, {
    method: "post",
    path: "/v1/responses",
    summary: "The same in the form of the Responses API",
    request: responsesRequest,
    answer: responseForm,
    isStreaming: true,
  });
  app.post("/v1/responses", async (c) => {
    service.expectRoom();
    const body = validate(responsesRequest, await readJson(c.req.raw, limits));
    return body.stream
      ? stream(c, (asker) => responses.stream(body, asker))
      : rateLimited(c, service, await responses.answer(body, askerOf(c)));
  });

  describeRoute(app, { method: "get", path: "/v1/models", summary: "The model's names", answer: modelList });
  app.get("/v1/models", (c) =>
    c.json({ object: "list", data: names.all.map((id) => describeModel(id, service)) }),
  );

  describeRoute(app, {
    method: "get",
    path: "/v1/models/{model}",
    summary: "One of them",
    answer: modelObject,
  });
  // Names have slashes.
  app.get("/v1/models/:model{.+}", (c) => {
    const id = c.req.param("model");
    names.expect(id);
    return c.json(describeModel(id, service));
  });
}

const startedAt = Math.floor(Date.now() / 1000);

function describeModel(id: string, service: Service) {
  return {
    id,
    object: "model",
    created: startedAt,
    owned_by: "florence2-webgpu",
    architecture: { input_modalities: ["image", "text"], output_modalities: ["text"] },
    florence2: {
      tasks: taskList.map(({ task }) => task),
      device: service.device ?? null,
      state: service.state,
    },
  };
}

/** The asker of an HTTP request: it is gone when the connection is. */
export function askerOf(c: AppContext, signal = c.req.raw.signal): Asker {
  const record = c.get("record");
  return {
    requestId: record.id,
    priority: "interactive",
    signal,
    note: (fields) => Object.assign(record.notes, fields),
  };
}

/** An answer with the headers that tell how much room there is. */
export function rateLimited(c: AppContext, { admission }: Service, body: object): Response {
  c.header("x-ratelimit-limit-requests", String(admission.limit));
  c.header("x-ratelimit-remaining-requests", String(admission.remaining));
  c.header("x-ratelimit-reset-requests", `${admission.waiting > 0 ? admission.secondsUntilFree : 0}s`);
  return c.json(body);
}

/**
 * A stream as an answer. Its first event is waited for, so that what is wrong with a request comes as a status and
 * not as an event.
 */
export async function stream(
  c: AppContext,
  open: (asker: Asker) => AsyncGenerator<string, void, undefined>,
): Promise<Response> {
  const record = c.get("record");
  const gone = new AbortController();
  const leave = () => gone.abort();
  c.req.raw.signal.addEventListener("abort", leave, { once: true });
  const events = open(askerOf(c, gone.signal));
  const first = await events.next();
  if (first.done) throw new ApiError(500, "server_error", "The stream had no event.");
  record.isStreaming = true;
  async function* all(): AsyncGenerator<string, void, undefined> {
    let isWhole = false;
    try {
      yield first.value as string;
      yield* events;
      isWhole = true;
    } finally {
      c.req.raw.signal.removeEventListener("abort", leave);
      await events.return();
      record.finish(isWhole ? 200 : 499);
    }
  }
  return eventStream(all(), leave);
}
