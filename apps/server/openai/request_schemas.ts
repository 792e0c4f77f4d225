import { z } from "@hono/zod-openapi";

/** Fields of a request beside its prompt, which every endpoint takes: the decoding and what the task is about. */
export const regionSchema = z
  .union([
    z.object({ x1: z.number(), y1: z.number(), x2: z.number(), y2: z.number() }),
    z.tuple([z.number(), z.number(), z.number(), z.number()]),
  ])
  .openapi({ description: "A box in pixels of the upright image: x1, y1, x2, y2" });

export const taskFields = {
  task: z
    .string()
    .max(200)
    .optional()
    .openapi({ description: "A tag or name of a task, such as <OD>; goes before a tag in the text" }),
  text: z
    .union([z.string(), z.array(z.string()).min(1)])
    .optional()
    .openapi({ description: "What the task is about; a list is asked about one by one" }),
  region: regionSchema.optional(),
  coordinates: z.enum(["float", "integer"]).optional(),
  annotated: z
    .union([z.literal(false), z.enum(["png", "svg"])])
    .optional()
    .openapi({ description: "Adds the image with the answer drawn onto it, as a data: URL" }),
};

export const decodingFields = {
  num_beams: z.int().min(1).optional(),
  min_tokens: z.int().min(0).optional(),
  top_k: z.int().min(0).optional(),
  repetition_penalty: z.number().positive().optional(),
  length_penalty: z.number().optional(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
};

const textPart = z.looseObject({ type: z.enum(["text", "input_text", "output_text"]), text: z.string() });
const imageUrl = z.union([z.string(), z.looseObject({ url: z.string(), detail: z.string().optional() })]);
const imagePart = z.looseObject({
  type: z.enum(["image_url", "input_image"]),
  image_url: imageUrl.nullish(),
  file_id: z.string().nullish(),
});
const filePart = z.looseObject({
  type: z.literal("file"),
  file: z.looseObject({
    file_id: z.string().optional(),
    file_data: z.string().optional(),
    filename: z.string().optional(),
  }),
});
const otherPart = z.looseObject({ type: z.string() });

export const contentPart = z.union([textPart, imagePart, filePart, otherPart]);
export type ContentPart = z.output<typeof contentPart>;

export const messageSchema = z.looseObject({
  role: z.string(),
  content: z.union([z.string(), z.array(contentPart)]).nullish(),
});
export type Message = z.output<typeof messageSchema>;

const jsonSchemaFormat = z.looseObject({
  name: z.string().regex(/^[\w-]{1,64}$/, "expected up to 64 letters, digits, - and _"),
  description: z.string().optional(),
  schema: z.record(z.string(), z.unknown()).optional(),
  strict: z.boolean().nullish(),
});

export const responseFormat = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("text") }),
  z.looseObject({ type: z.literal("json_object") }),
  z.looseObject({ type: z.literal("json_schema"), json_schema: jsonSchemaFormat }),
]);

/** The same for /v1/responses, where the schema's fields stand one level higher. */
export const textFormat = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("text") }),
  z.looseObject({ type: z.literal("json_object") }),
  z.looseObject({ type: z.literal("json_schema"), ...jsonSchemaFormat.shape }),
]);

export const metadataSchema = z.record(z.string().max(64), z.string().max(512)).nullish();

export const chatRequest = z
  .looseObject({
    model: z.string(),
    messages: z.array(messageSchema).min(1).max(1000),
    max_completion_tokens: z.int().min(1).nullish(),
    max_tokens: z.int().min(1).nullish(),
    n: z.int().min(1).nullish(),
    stop: z.union([z.string(), z.array(z.string()).max(4)]).nullish(),
    logprobs: z.boolean().nullish(),
    top_logprobs: z.int().min(0).max(20).nullish(),
    response_format: responseFormat.nullish(),
    stream: z.boolean().nullish(),
    stream_options: z
      .looseObject({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() })
      .nullish(),
    tool_choice: z.unknown().optional(),
    modalities: z.array(z.string()).nullish(),
    ...decodingFields,
    ...taskFields,
  })
  .openapi("ChatCompletionRequest");
export type ChatRequest = z.output<typeof chatRequest>;

export const responsesRequest = z
  .looseObject({
    model: z.string(),
    input: z.union([
      z.string(),
      z
        .array(messageSchema.partial({ role: true }).loose())
        .min(1)
        .max(1000),
    ]),
    instructions: z.string().nullish(),
    max_output_tokens: z.int().min(1).nullish(),
    previous_response_id: z.string().nullish(),
    store: z.boolean().nullish(),
    stream: z.boolean().nullish(),
    text: z
      .union([z.string(), z.array(z.string()), z.looseObject({ format: textFormat.optional() })])
      .nullish(),
    truncation: z.string().nullish(),
    metadata: metadataSchema,
    tool_choice: z.unknown().optional(),
    ...decodingFields,
    task: taskFields.task,
    region: taskFields.region,
    coordinates: taskFields.coordinates,
    annotated: taskFields.annotated,
  })
  .openapi("ResponseRequest");
export type ResponsesRequest = z.output<typeof responsesRequest>;
