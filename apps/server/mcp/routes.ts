import {
  createMcpHandler,
  isInitializeRequest,
  isJSONRPCNotification,
  isJSONRPCRequest,
} from "@modelcontextprotocol/server";
import { type BodyLimits, readJson } from "../http/body.ts";
import type { RequestRecord } from "../http/context.ts";
import { describeCause, type Log } from "../http/log.ts";
import type { App } from "../openai/routes.ts";
import { createMcpServer } from "./create_mcp_server.ts";
import { SESSION_HEADER, SessionCalls } from "./session_calls.ts";
import type { ToolParts } from "./visit.ts";

/** The tools over Streamable HTTP, behind the same checks of key, host, origin and body as every other route. */
export function addMcpRoutes(app: App, parts: ToolParts, limits: BodyLimits, log: Log): void {
  const records = new WeakMap<Request, RequestRecord>();
  const calls = new SessionCalls();
  const handler = createMcpHandler(
    ({ requestInfo }) => {
      const notes = requestInfo && records.get(requestInfo)?.notes;
      return createMcpServer(parts, (fields) => notes && Object.assign(notes, fields));
    },
    { onerror: (error) => log({ level: "warn", event: "mcp_error", error: describeCause(error) }) },
  );
  app.all("/mcp", async (c) => {
    const record = c.get("record");
    const parsedBody = c.req.method === "POST" ? await readJson(c.req.raw, limits) : undefined;
    const session = c.req.header(SESSION_HEADER);
    const owned = session === undefined ? undefined : JSON.stringify([record.keyName, session]);
    if (owned !== undefined) cancelNamed(calls, owned, parsedBody);
    const call =
      owned !== undefined && isJSONRPCRequest(parsedBody) ? calls.open(owned, parsedBody.id) : undefined;
    const request = call ? endedBy(c.req.raw, call.signal) : c.req.raw;
    records.set(request, record);
    const answer = await handler.fetch(request, { parsedBody }).catch((error: unknown) => {
      call?.close();
      throw error;
    });
    const headers = new Headers(answer.headers);
    if (isInitializeRequest(parsedBody)) headers.set(SESSION_HEADER, SessionCalls.newSession());
    const finish = () => {
      call?.close();
      record.finish(request.signal.aborted ? CLIENT_GONE : answer.status);
    };
    if (!answer.body || !/^text\/event-stream/.test(headers.get("content-type") ?? "")) {
      call?.close();
      return new Response(answer.body, { status: answer.status, headers });
    }
    record.isStreaming = true;
    // The tool hears of it as well, and notes its end for the log line first.
    request.signal.addEventListener("abort", () => void setImmediate(finish), { once: true });
    const tail = new TransformStream({
      flush: () => void (request.signal.aborted ? setImmediate(finish) : finish()),
    });
    headers.set("x-accel-buffering", "no");
    return new Response(answer.body.pipeThrough(tail), { status: answer.status, headers });
  });
}

/** The status in the log of a call whose caller left or cancelled it. */
const CLIENT_GONE = 499;

/** Ends the call that a message `notifications/cancelled` names. */
function cancelNamed(calls: SessionCalls, session: string, message: unknown): void {
  if (!isJSONRPCNotification(message) || message.method !== "notifications/cancelled") return;
  const { requestId } = message.params ?? {};
  if (typeof requestId === "string" || typeof requestId === "number") calls.cancel(session, requestId);
}

/** The request, its body read, that another signal ends as well. */
function endedBy({ url, method, headers, signal }: Request, cancelled: AbortSignal): Request {
  return new Request(url, { method, headers, signal: AbortSignal.any([signal, cancelled]) });
}
