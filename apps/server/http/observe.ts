import { randomUUID } from "node:crypto";
import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import type { Metrics } from "../operations/metrics.ts";
import type { RequestRecord, Variables } from "./context.ts";
import { toApiError } from "./errors.ts";
import { describeCause, type Log } from "./log.ts";

const REQUEST_ID = /^[\w.-]{1,128}$/;
const tracer = trace.getTracer("florence2-server");

/** Gives every request an id, a span, a log line and its place in the metrics. */
export function observe(metrics: Metrics, log: Log): MiddlewareHandler<{ Variables: Variables }> {
  return async (c, next) => {
    const given = c.req.header("x-request-id");
    const id = given && REQUEST_ID.test(given) ? given : `req_${randomUUID().replaceAll("-", "")}`;
    const arrival = performance.now();
    const { method } = c.req;
    const parent = propagation.extract(context.active(), c.req.header());
    const span = tracer.startSpan(method, { kind: SpanKind.SERVER }, parent);
    let isOver = false;
    const record: RequestRecord = {
      id,
      arrival,
      keyName: undefined,
      notes: {},
      isStreaming: false,
      finish(status) {
        if (isOver) return;
        isOver = true;
        const route = routeOf(routePath(c, -1), c.res.status);
        const ms = performance.now() - arrival;
        metrics.httpRequests.inc({ method: methodLabel(method), route, status: String(status) });
        metrics.httpSeconds.observe({ method: methodLabel(method), route }, ms / 1000);
        span.updateName(`${method} ${route}`);
        span.setAttributes({
          "http.request.method": method,
          "http.route": route,
          "http.response.status_code": status,
        });
        if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
        span.end();
        // 503 is a state that passes: loading, draining, full.
        const level = status === 503 ? "warn" : status >= 500 ? "error" : "info";
        log({
          level,
          request_id: id,
          method,
          route,
          status,
          ms: round(ms),
          key: record.keyName,
          ...record.notes,
        });
      },
    };
    c.set("record", record);
    try {
      await context.with(trace.setSpan(parent, span), next);
    } catch (thrown) {
      // Hono hands only errors to its handler; libraries throw other things as well.
      log({ level: "error", event: "request_failed", request_id: id, error: describeCause(thrown) });
      c.res = toApiError(thrown).toResponse();
    }
    c.header("x-request-id", id);
    c.header("openai-version", "2020-10-01");
    c.header("openai-processing-ms", String(Math.round(performance.now() - arrival)));
    if (!record.isStreaming) record.finish(c.res.status);
  };
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]);
const methodLabel = (method: string) => (METHODS.has(method) ? method : "other");

/** The pattern of a route and never the path: a caller cannot make up labels. */
const routeOf = (pattern: string, status: number) =>
  pattern === "/*" || pattern === "*" || (status === 404 && !pattern) ? "none" : pattern;

const round = (ms: number) => Math.round(ms * 10) / 10;
