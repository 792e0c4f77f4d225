import { createMcpHandler } from "@modelcontextprotocol/server";
import { type BodyLimits, readJson } from "../http/body.ts";
import type { RequestRecord } from "../http/context.ts";
import { describeCause, type Log } from "../http/log.ts";
import type { App } from "../openai/routes.ts";
import { createMcpServer } from "./create_mcp_server.ts";
import type { ToolParts } from "./visit.ts";

/** The tools over Streamable HTTP, behind the same checks of key, host, origin and body as every other route. */
export function addMcpRoutes(app: App, parts: ToolParts, limits: BodyLimits, log: Log): void {
  const records = new WeakMap<Request, RequestRecord>();
  const handler = createMcpHandler(
    ({ requestInfo }) => {
      const notes = requestInfo && records.get(requestInfo)?.notes;
      return createMcpServer(parts, (fields) => notes && Object.assign(notes, fields));
    },
    { onerror: (error) => log({ level: "warn", event: "mcp_error", error: describeCause(error) }) },
  );
  app.all("/mcp", async (c) => {
    const request = c.req.raw;
    const record = c.get("record");
    records.set(request, record);
    const parsedBody = request.method === "POST" ? await readJson(request, limits) : undefined;
    const response = await handler.fetch(request, { parsedBody });
    if (!response.body || !/^text\/event-stream/.test(response.headers.get("content-type") ?? ""))
      return response;
    record.isStreaming = true;
    request.signal.addEventListener("abort", () => record.finish(499), { once: true });
    const tail = new TransformStream({ flush: () => record.finish(response.status) });
    const headers = new Headers(response.headers);
    headers.set("x-accel-buffering", "no");
    return new Response(response.body.pipeThrough(tail), { status: response.status, headers });
  });
}
