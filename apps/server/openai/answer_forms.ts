import { z } from "@hono/zod-openapi";

/** The forms of answers, for the OpenAPI document. */
export const usageForm = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_tokens_details: z.object({
    cached_tokens: z.int().openapi({ description: "Tokens of an image that had been looked at before" }),
    image_tokens: z.int(),
    text_tokens: z.int(),
    audio_tokens: z.int(),
  }),
  completion_tokens_details: z.object({
    reasoning_tokens: z.int(),
    audio_tokens: z.int(),
    accepted_prediction_tokens: z.int(),
    rejected_prediction_tokens: z.int(),
  }),
});

export const foundObject = z
  .object({
    label: z.string(),
    box: z
      .array(z.number())
      .length(4)
      .openapi({ description: "x1, y1, x2, y2 in pixels of the upright image" }),
    score: z.number().optional().openapi({ description: "Confidence, 0 to 1" }),
    quad: z.array(z.number()).length(8).optional(),
    polygons: z.array(z.array(z.number())).optional(),
  })
  .openapi("FoundObject");

export const typedAnswerForm = z
  .object({
    task: z.string(),
    answer: z
      .unknown()
      .openapi({ description: "In the task's own shape; GET /v1/florence2/tasks has its schema" }),
    text: z.string().openapi({ description: "What a person reads" }),
    objects: z.array(foundObject),
    width: z.int(),
    height: z.int(),
    score: z.number(),
    finish_reason: z.enum(["stop", "length"]),
    sequence_scores: z.array(z.number()).optional(),
    warnings: z.array(z.string()).optional(),
    annotated: z.string().optional(),
  })
  .openapi("Florence2Answer");

const logProbs = z.object({
  content: z.array(
    z.object({
      token: z.string(),
      logprob: z.number(),
      bytes: z.array(z.int()),
      top_logprobs: z.array(z.unknown()),
    }),
  ),
  refusal: z.null(),
});

export const chatCompletion = z
  .object({
    id: z.string(),
    object: z.literal("chat.completion"),
    created: z.int(),
    model: z.string(),
    service_tier: z.literal("default"),
    system_fingerprint: z.string(),
    choices: z.array(
      z.object({
        index: z.int(),
        message: z.object({
          role: z.literal("assistant"),
          content: z.string(),
          refusal: z.null(),
          annotations: z.array(z.unknown()),
          florence2: typedAnswerForm,
        }),
        logprobs: logProbs.nullable(),
        finish_reason: z.enum(["stop", "length"]),
      }),
    ),
    usage: usageForm,
  })
  .openapi("ChatCompletion");

export const responseForm = z
  .looseObject({
    id: z.string(),
    object: z.literal("response"),
    created_at: z.int(),
    completed_at: z.int(),
    status: z.enum(["completed", "incomplete", "failed", "in_progress"]),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    incomplete_details: z.object({ reason: z.string() }).nullable(),
    model: z.string(),
    output: z.array(
      z.object({
        id: z.string(),
        type: z.literal("message"),
        status: z.string(),
        role: z.literal("assistant"),
        content: z.array(
          z.object({
            type: z.literal("output_text"),
            text: z.string(),
            annotations: z.array(z.unknown()),
            logprobs: z.array(z.unknown()),
          }),
        ),
      }),
    ),
    usage: z.object({
      input_tokens: z.int(),
      input_tokens_details: usageForm.shape.prompt_tokens_details,
      output_tokens: z.int(),
      output_tokens_details: z.object({ reasoning_tokens: z.int() }),
      total_tokens: z.int(),
    }),
    florence2: typedAnswerForm,
  })
  .openapi("Response");

export const modelObject = z
  .object({
    id: z.string(),
    object: z.literal("model"),
    created: z.int(),
    owned_by: z.string(),
    architecture: z.object({ input_modalities: z.array(z.string()), output_modalities: z.array(z.string()) }),
    florence2: z.object({
      tasks: z.array(z.string()),
      device: z.object({ kind: z.string(), name: z.string() }).nullable(),
      state: z.string(),
    }),
  })
  .openapi("Model");

export const modelList = z
  .object({ object: z.literal("list"), data: z.array(modelObject) })
  .openapi("ModelList");

export const errorForm = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string(),
    }),
  })
  .openapi("Error");
