import { randomUUID } from "node:crypto";
import { z } from "@hono/zod-openapi";
import type { FileStore } from "../files/file_store.ts";
import { page } from "../files/routes.ts";
import { type BodyLimits, readJson, validate } from "../http/body.ts";
import { ApiError, badRequest } from "../http/errors.ts";
import { metadataSchema } from "../openai/request_schemas.ts";
import type { App } from "../openai/routes.ts";
import { describeRoute } from "../operations/openapi.ts";
import { type Batch, type BatchEngine, ENDPOINTS, isFinished, now } from "./batch.ts";
import type { BatchStore } from "./batch_store.ts";

const WINDOW_SECONDS = 24 * 3600;
const MAX_INPUT_BYTES = 200e6;

const batchRequest = z
  .looseObject({
    input_file_id: z.string(),
    endpoint: z.enum(ENDPOINTS),
    completion_window: z.literal("24h"),
    metadata: metadataSchema.refine(
      (given) => Object.keys(given ?? {}).length <= 16,
      "expected at most 16 pairs",
    ),
    output_expires_after: z
      .looseObject({ anchor: z.literal("created_at"), seconds: z.int().min(3600).max(2_592_000) })
      .nullish(),
  })
  .openapi("BatchRequest");

const time = z.int().nullable();
const batchForm = z
  .object({
    id: z.string(),
    object: z.literal("batch"),
    endpoint: z.enum(ENDPOINTS),
    model: z.string().nullable(),
    errors: z
      .object({
        object: z.literal("list"),
        data: z.array(
          z.object({
            code: z.string(),
            message: z.string(),
            param: z.string().nullable(),
            line: z.int().nullable(),
          }),
        ),
      })
      .nullable(),
    input_file_id: z.string(),
    completion_window: z.string(),
    status: z.enum([
      "validating",
      "failed",
      "in_progress",
      "finalizing",
      "completed",
      "expired",
      "cancelling",
      "cancelled",
    ]),
    output_file_id: z.string().nullable(),
    error_file_id: z.string().nullable(),
    created_at: z.int(),
    in_progress_at: time,
    expires_at: z.int(),
    finalizing_at: time,
    completed_at: time,
    failed_at: time,
    expired_at: time,
    cancelling_at: time,
    cancelled_at: time,
    request_counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }),
    usage: z.object({ input_tokens: z.int(), output_tokens: z.int(), total_tokens: z.int() }),
    metadata: z.record(z.string(), z.string()).nullable(),
  })
  .openapi("Batch");
const batchList = z
  .object({
    object: z.literal("list"),
    data: z.array(batchForm),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  })
  .openapi("BatchList");

const listQuery = z.object({
  after: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

export interface BatchParts {
  readonly files: FileStore;
  readonly batches: BatchStore;
  readonly engine: BatchEngine;
  readonly limits: BodyLimits;
  readonly model: string;
}

/** /v1/batches. */
export function addBatchRoutes(app: App, { files, batches, engine, limits, model }: BatchParts): void {
  describeRoute(app, {
    method: "post",
    path: "/v1/batches",
    summary: "Answer the lines of a file",
    request: batchRequest,
    answer: batchForm,
  });
  app.post("/v1/batches", async (c) => {
    const request = validate(batchRequest, await readJson(c.req.raw, limits));
    const input = await files.get(request.input_file_id, "input_file_id");
    if (input.purpose !== "batch")
      throw badRequest("invalid_value", "The file was not uploaded with purpose batch.", "input_file_id");
    if (input.bytes > MAX_INPUT_BYTES)
      throw new ApiError(
        413,
        "file_too_large",
        `The file has ${input.bytes} bytes; a batch takes at most ${MAX_INPUT_BYTES}.`,
        { param: "input_file_id" },
      );
    const created = now();
    const batch: Batch = {
      id: `batch_${randomUUID().replaceAll("-", "")}`,
      object: "batch",
      endpoint: request.endpoint,
      model,
      errors: null,
      input_file_id: input.id,
      completion_window: request.completion_window,
      status: "validating",
      output_file_id: null,
      error_file_id: null,
      created_at: created,
      in_progress_at: null,
      expires_at: created + WINDOW_SECONDS,
      finalizing_at: null,
      completed_at: null,
      failed_at: null,
      expired_at: null,
      cancelling_at: null,
      cancelled_at: null,
      request_counts: { total: 0, completed: 0, failed: 0 },
      usage: { input_tokens: 0, output_tokens: 0, total_tokens: 0 },
      metadata: request.metadata ?? null,
      output_expires_after: request.output_expires_after?.seconds ?? null,
    };
    await batches.create(batch);
    engine.submit(batch.id);
    return c.json(shown(batch));
  });

  describeRoute(app, {
    method: "get",
    path: "/v1/batches",
    summary: "All batches, the newest first",
    answer: batchList,
  });
  app.get("/v1/batches", async (c) => {
    const { after, limit } = validate(listQuery, c.req.query());
    const all = (await batches.list()).reverse();
    return c.json(page(all.map(shown), limit, after));
  });

  describeRoute(app, { method: "get", path: "/v1/batches/{id}", summary: "One batch", answer: batchForm });
  app.get("/v1/batches/:id", async (c) => c.json(shown(await batches.get(c.req.param("id")))));

  describeRoute(app, {
    method: "post",
    path: "/v1/batches/{id}/cancel",
    summary: "End a batch",
    answer: batchForm,
  });
  app.post("/v1/batches/:id/cancel", async (c) => {
    const id = c.req.param("id");
    const batch = await batches.get(id);
    if (isFinished(batch) || batch.status === "finalizing")
      throw new ApiError(409, "batch_finished", `The batch is ${batch.status} and cannot be cancelled.`);
    await batches.cancel(id);
    return c.json(shown(await batches.get(id)));
  });
}

function shown({ output_expires_after, ...batch }: Batch) {
  return batch;
}
