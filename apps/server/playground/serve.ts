import type { MiddlewareHandler } from "hono";
import type { Variables } from "../http/context.ts";
import { type PageFile, policyOf } from "./files.ts";

/** A year, in seconds. */
const FOR_EVER = 31_536_000;

/**
 * Answers with the playground: a page at `/` and its files. They say nothing about the model and need no key; what the
 * page asks the model does.
 */
export function servePlayground(
  files: ReadonlyMap<string, PageFile>,
): MiddlewareHandler<{ Variables: Variables }> {
  return async ({ req }, next) => {
    const file = req.method === "GET" || req.method === "HEAD" ? files.get(req.path) : undefined;
    return file ? answerFile(file, req.raw) : next();
  };
}

async function answerFile(file: PageFile, request: Request): Promise<Response> {
  const headers = new Headers({
    "content-type": file.type,
    etag: file.etag,
    "cache-control": file.isForEver ? `public, max-age=${FOR_EVER}, immutable` : "no-cache",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    // Isolated from other origins, the page may compute on several threads.
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
  });
  if (request.headers.get("if-none-match") === file.etag) return new Response(null, { status: 304, headers });
  const bytes = await file.read();
  if (file.type.startsWith("text/html")) headers.set("content-security-policy", policyOf(bytes));
  return new Response(request.method === "HEAD" ? null : bytes, { headers });
}
