import { randomUUID } from "node:crypto";
import type { Question } from "../engine/engine.ts";
import type { Service } from "../engine/service.ts";
import { taskOf } from "../engine/task_names.ts";
import type { BodyLimits } from "../http/body.ts";
import { badRequest } from "../http/errors.ts";
import { answerSchema, taskList } from "../openai/answer_schemas.ts";
import type { Asker, Asking } from "../openai/ask.ts";
import { typedAnswer } from "../openai/chat.ts";
import { type DecodingRules, generationOf } from "../openai/generation.ts";
import type { ModelNames } from "../openai/model_names.ts";
import { type App, askerOf, rateLimited } from "../openai/routes.ts";
import { usageOf } from "../openai/usage.ts";
import { describeRoute } from "../operations/openapi.ts";
import { type ReadRequest, readRequest } from "./read_request.ts";
import { florence2Request, florence2Response, taskListForm } from "./schemas.ts";

export interface Florence2Parts {
  readonly service: Service;
  readonly asking: Asking;
  readonly names: ModelNames;
  readonly rules: BodyLimits &
    DecodingRules & { readonly defaultTask: string; readonly maxImageBytes: number };
}

/** The API of the model's own: typed answers without the dress of a conversation. */
export function addFlorence2Routes(app: App, parts: Florence2Parts): void {
  const { service, rules } = parts;
  describeRoute(app, {
    method: "post",
    path: "/v1/florence2",
    summary: "Answer one task or several about an image, which is looked at once",
    request: florence2Request,
    requestTypes: ["multipart/form-data", "image/*"],
    answer: florence2Response,
  });
  app.post("/v1/florence2", async (c) => {
    service.expectRoom();
    return rateLimited(
      c,
      service,
      await answerFlorence2(parts, await readRequest(c.req.raw, rules), askerOf(c)),
    );
  });

  describeRoute(app, {
    method: "get",
    path: "/v1/florence2/tasks",
    summary: "What each task takes, and the JSON Schema of what it gives",
    answer: taskListForm,
  });
  app.get("/v1/florence2/tasks", (c) =>
    c.json({ object: "list", data: taskList.map((task) => ({ ...task, answer: answerSchema(task.task) })) }),
  );
}

/** The answer to a request in any of its forms. */
export async function answerFlorence2(
  { asking, names, rules }: Florence2Parts,
  { image: reference, fields }: ReadRequest,
  asker: Asker,
) {
  names.expect(fields.model ?? names.own);
  if (fields.task !== undefined && fields.tasks !== undefined)
    throw badRequest("invalid_value", "Give task or tasks, not both.", "tasks");
  const generation = generationOf(fields.options ?? {}, rules);
  const items = fields.tasks?.map((item) => itemOf(item, fields)) ?? [
    { ...fields, task: fields.task ?? rules.defaultTask },
  ];
  const asks = items.map(
    ({ task, text, region, coordinates }): Question => ({
      task: taskOf(task),
      text,
      region,
      coordinates,
      generation,
    }),
  );
  const { image, answers, times } = await asking.ask(reference, asks, asker);
  const results = answers.map((answered, i) => {
    const { annotated } = items[i]!;
    return typedAnswer(asks[i]!.task, image, answered, answered.sequences[0], annotated || undefined);
  });
  return {
    id: `florence2-${randomUUID().replaceAll("-", "")}`,
    object: "florence2.response",
    created: Math.floor(Date.now() / 1000),
    model: fields.model ?? names.own,
    width: image.width,
    height: image.height,
    results: await Promise.all(results),
    usage: usageOf(image, answers),
    timings: {
      queue_ms: Math.round(times.queue),
      image_ms: Math.round(times.image),
      answers_ms: Math.round(times.answers),
    },
  };
}

type Fields = ReadRequest["fields"];
type Item = Pick<Fields, "text" | "region" | "coordinates" | "annotated"> & { readonly task: string };

/** A task of a list. Text and region of the request go to the tasks that take them. */
function itemOf(item: NonNullable<Fields["tasks"]>[number], shared: Fields): Item {
  const own = typeof item === "string" ? { task: item } : item;
  const kind = taskList.find(({ task }) => task === taskOf(own.task))?.input;
  return {
    coordinates: shared.coordinates,
    annotated: shared.annotated,
    ...(kind === "text" && { text: shared.text }),
    ...(kind === "region" && { region: shared.region }),
    ...own,
  };
}
