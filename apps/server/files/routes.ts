import { Readable } from "node:stream";
import { z } from "@hono/zod-openapi";
import { validate } from "../http/body.ts";
import { badRequest } from "../http/errors.ts";
import type { App } from "../openai/routes.ts";
import { describeRoute } from "../operations/openapi.ts";
import type { FileStore } from "./file_store.ts";
import { receiveFile } from "./receive_file.ts";

export const fileForm = z
  .object({
    id: z.string(),
    object: z.literal("file"),
    bytes: z.int(),
    created_at: z.int(),
    expires_at: z.int().nullable(),
    filename: z.string(),
    purpose: z.string(),
    status: z.literal("processed"),
  })
  .openapi("File");

const fileList = z
  .object({
    object: z.literal("list"),
    data: z.array(fileForm),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  })
  .openapi("FileList");

const deleted = z.object({ id: z.string(), object: z.literal("file"), deleted: z.literal(true) });

const listQuery = z.object({
  purpose: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(10_000),
  order: z.enum(["asc", "desc"]).default("desc"),
  after: z.string().optional(),
});

/** /v1/files. */
export function addFileRoutes(app: App, files: FileStore, maxUpload: number): void {
  describeRoute(app, {
    method: "post",
    path: "/v1/files",
    summary: "Upload an image, or the lines of a batch",
    requestTypes: ["multipart/form-data"],
    answer: fileForm,
  });
  app.post("/v1/files", async (c) => c.json(await receiveFile(c.req.raw, files, maxUpload)));

  describeRoute(app, { method: "get", path: "/v1/files", summary: "All files", answer: fileList });
  app.get("/v1/files", async (c) => {
    const { purpose, limit, order, after } = validate(listQuery, c.req.query());
    const all = (await files.list()).filter((file) => purpose === undefined || file.purpose === purpose);
    return c.json(page(order === "desc" ? all.reverse() : all, limit, after));
  });

  describeRoute(app, { method: "get", path: "/v1/files/{id}", summary: "One file", answer: fileForm });
  app.get("/v1/files/:id", async (c) => c.json(await files.get(c.req.param("id"))));

  describeRoute(app, {
    method: "get",
    path: "/v1/files/{id}/content",
    summary: "Its content",
    answerTypes: ["application/octet-stream"],
  });
  app.get("/v1/files/:id/content", async (c) => {
    const { id, bytes } = await files.get(c.req.param("id"));
    const content = Readable.toWeb(files.stream(id) as Readable) as ReadableStream;
    // A download: a browser must not render a file by the type that it claims.
    const headers = {
      "content-type": "application/octet-stream",
      "content-length": String(bytes),
      "content-disposition": "attachment",
      "x-content-type-options": "nosniff",
    };
    return new Response(content, { headers });
  });

  describeRoute(app, { method: "delete", path: "/v1/files/{id}", summary: "Delete a file", answer: deleted });
  app.delete("/v1/files/:id", async (c) => {
    const { id } = await files.get(c.req.param("id"));
    await files.delete(id);
    return c.json({ id, object: "file", deleted: true });
  });
}

/** A part of a list, from behind the entry `after`. */
export function page<T extends { readonly id: string }>(all: readonly T[], limit: number, after?: string) {
  const from = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && from === 0)
    throw badRequest("invalid_value", "after names no entry of the list.", "after");
  const data = all.slice(from, from + limit);
  return {
    object: "list" as const,
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: from + limit < all.length,
  };
}
