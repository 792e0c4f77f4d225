import type { z } from "@hono/zod-openapi";
import { errorForm } from "../openai/answer_forms.ts";
import type { App } from "../openai/routes.ts";

export interface RouteDescription {
  readonly method: "get" | "post" | "delete";
  readonly path: string;
  readonly summary: string;
  /** The schema that validates the body. */
  readonly request?: z.ZodType;
  readonly answer?: z.ZodType;
  /** The answer may also be server-sent events. */
  readonly isStreaming?: boolean;
  /** Media types of a body or an answer that is not JSON. */
  readonly requestTypes?: readonly string[];
  readonly answerTypes?: readonly string[];
}

/** Adds a route to the OpenAPI document; its handler reads and validates the body by the same schema. */
export function describeRoute(app: App, route: RouteDescription): void {
  const { method, path, summary, request, answer, isStreaming, requestTypes = [], answerTypes = [] } = route;
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
  const binary = (types: readonly string[]) =>
    Object.fromEntries(
      types.map((type) => [type, { schema: { type: "string" as const, format: "binary" } }]),
    );
  const error = { description: "What is wrong", content: { "application/json": { schema: errorForm } } };
  app.openAPIRegistry.registerPath({
    method,
    path,
    summary,
    parameters: names.map((name) => ({
      name,
      in: "path" as const,
      required: true,
      schema: { type: "string" as const },
    })),
    ...((request || requestTypes.length > 0) && {
      request: {
        body: {
          content: { ...(request && { "application/json": { schema: request } }), ...binary(requestTypes) },
        },
      },
    }),
    responses: {
      200: {
        description: "The answer",
        content: {
          ...(answer && { "application/json": { schema: answer } }),
          ...(isStreaming && { "text/event-stream": { schema: { type: "string" as const } } }),
          ...binary(answerTypes),
        },
      },
      default: error,
    },
  });
}
