import { z } from "@hono/zod-openapi";
import { typedAnswerForm, usageForm } from "../openai/answer_forms.ts";
import { decodingFields, regionSchema, taskFields } from "../openai/request_schemas.ts";

const imageSchema = z
  .union([
    z.string(),
    z.strictObject({ url: z.string() }),
    z.strictObject({ file_id: z.string() }),
    z.strictObject({ data: z.string() }),
  ])
  .openapi({
    description: "A data: or https: URL or the id of a file; or { url }, { file_id } or { data } in base64",
  });

const { task, text, coordinates, annotated } = taskFields;
const item = z.union([
  z.string(),
  z.strictObject({ task: z.string(), text, region: regionSchema.optional(), coordinates, annotated }),
]);

export const optionsSchema = z.strictObject({
  max_tokens: z.int().min(1).optional(),
  n: z.int().min(1).optional(),
  ...decodingFields,
});

/** One task about an image, or several, for which it is looked at once. */
export const florence2Request = z
  .strictObject({
    model: z.string().optional(),
    image: imageSchema,
    task,
    tasks: z.array(item).min(1).optional(),
    text,
    region: regionSchema.optional(),
    coordinates,
    annotated,
    options: optionsSchema.optional(),
  })
  .openapi("Florence2Request");
export type Florence2Request = z.output<typeof florence2Request>;

export const florence2Response = z
  .object({
    id: z.string(),
    object: z.literal("florence2.response"),
    created: z.int(),
    model: z.string(),
    width: z.int(),
    height: z.int(),
    results: z.array(typedAnswerForm).openapi({ description: "In the order of the tasks" }),
    usage: usageForm,
    timings: z
      .object({ queue_ms: z.int(), image_ms: z.int(), answers_ms: z.int() })
      .openapi({ description: "Waiting for a turn, decoding the image and looking at it, all answers" }),
  })
  .openapi("Florence2Response");

export const taskListForm = z
  .object({
    object: z.literal("list"),
    data: z.array(
      z.object({
        task: z.string(),
        input: z.enum(["none", "text", "region"]),
        answer: z.record(z.string(), z.unknown()),
      }),
    ),
  })
  .openapi("TaskList");
