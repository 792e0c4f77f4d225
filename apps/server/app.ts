import { OpenAPIHono } from "@hono/zod-openapi";
import type { Settings } from "./config/settings.ts";
import type { Service } from "./engine/service.ts";
import { checkHost, checkOrigin, readKeys, requireKey } from "./http/access.ts";
import type { Variables } from "./http/context.ts";
import { ApiError, toApiError } from "./http/errors.ts";
import { describeCause, type Log } from "./http/log.ts";
import { observe } from "./http/observe.ts";
import { type FetchOptions, ImageFetcher } from "./images/fetch_image.ts";
import { ImageLoader } from "./images/load_image.ts";
import { Asking } from "./openai/ask.ts";
import { ChatCompletions } from "./openai/chat.ts";
import { ModelNames } from "./openai/model_names.ts";
import { type App, addOpenAiRoutes } from "./openai/routes.ts";
import { addOperationRoutes } from "./operations/routes.ts";

export interface AppOptions {
  readonly settings: Settings;
  readonly service: Service;
  readonly log: Log;
  /** For tests: how images are fetched. */
  readonly fetching?: Partial<FetchOptions>;
}

/** All routes as one handler of web-standard requests: `app.fetch` for Node, Deno, Bun and tests alike. */
export function createApp({ settings, service, log, fetching }: AppOptions): App {
  const app: App = new OpenAPIHono<{ Variables: Variables }>();
  const { metrics } = service;

  app.use(observe(metrics, log));
  app.use(checkHost(settings.host, settings.allowedHosts));
  app.use(checkOrigin(settings.corsOrigin));
  app.use(requireKey(readKeys(settings.apiKey, settings.apiKeyFile)));

  const names = new ModelNames(settings.model, settings.servedModelName);
  const loader = new ImageLoader({
    fetcher: new ImageFetcher({ ...settings, ...fetching }),
    maxImageBytes: settings.maxImageBytes,
    readFile: async () => undefined,
    metrics,
  });
  const asking = new Asking(service, loader, settings.maxTasks);
  addOperationRoutes(app, service, names);
  addOpenAiRoutes(app, {
    service,
    names,
    chat: new ChatCompletions(asking, names, settings),
    limits: settings,
  });

  app.notFound((c) => {
    const methods = methodsOf(app, c.req.path);
    const error =
      methods.length > 0
        ? new ApiError(
            405,
            "method_not_allowed",
            `${c.req.method} is not for this path; ${methods.join(", ")} is.`,
            {
              headers: { allow: methods.join(", ") },
            },
          )
        : new ApiError(404, "not_found", "There is nothing at this path; GET /openapi.json lists all.");
    return error.toResponse();
  });
  app.onError((error, c) => {
    const failure = toApiError(error);
    const record = c.get("record");
    record.notes.code = failure.code;
    // The cause is for the operator alone.
    if (failure.status >= 500 && failure.cause !== undefined)
      log({
        level: "error",
        event: "request_failed",
        request_id: record.id,
        error: describeCause(failure.cause),
      });
    return failure.toResponse();
  });
  return app;
}

/** Methods that have a route for a path. */
function methodsOf(app: App, path: string): string[] {
  const methods = app.routes
    .filter(({ method }) => method !== "ALL")
    .filter((route) => matches(route.path, path));
  return [...new Set(methods.map(({ method }) => method))];
}

function matches(pattern: string, path: string): boolean {
  const source = pattern
    .split("/")
    .map((part) =>
      part.startsWith(":") ? (part.includes("{.+}") ? ".+" : "[^/]+") : part.replace(/[.*+?]/g, "\\$&"),
    )
    .join("/");
  return new RegExp(`^${source}$`).test(path);
}
