import { OpenAPIHono } from "@hono/zod-openapi";
import type { BatchEngine } from "./batches/batch.ts";
import { BatchStore } from "./batches/batch_store.ts";
import { BatchWork, type Execute } from "./batches/batch_work.ts";
import { EmbeddedBatchEngine } from "./batches/embedded_engine.ts";
import { QueuedBatchEngine } from "./batches/queued_engine.ts";
import { addBatchRoutes } from "./batches/routes.ts";
import { answerSettings } from "./config/answer_settings.ts";
import type { Settings } from "./config/settings.ts";
import type { Service } from "./engine/service.ts";
import { dataFolders } from "./files/data_dir.ts";
import { FileStore } from "./files/file_store.ts";
import { addFileRoutes } from "./files/routes.ts";
import { requestOf } from "./florence2/read_request.ts";
import { addFlorence2Routes, answerFlorence2 } from "./florence2/routes.ts";
import { checkHost, checkOrigin, readKeys, requireKey } from "./http/access.ts";
import { validate } from "./http/body.ts";
import type { Variables } from "./http/context.ts";
import { ApiError, badRequest, toApiError } from "./http/errors.ts";
import { describeCause, type Log } from "./http/log.ts";
import { observe } from "./http/observe.ts";
import { type FetchOptions, ImageFetcher } from "./images/fetch_image.ts";
import { ImageLoader } from "./images/load_image.ts";
import { toolPartsOf } from "./mcp/open_tools.ts";
import { addMcpRoutes } from "./mcp/routes.ts";
import { type Asker, Asking } from "./openai/ask.ts";
import { ChatCompletions } from "./openai/chat.ts";
import { ModelNames } from "./openai/model_names.ts";
import { chatRequest, responsesRequest } from "./openai/request_schemas.ts";
import { Responses } from "./openai/responses.ts";
import { type App, addOpenAiRoutes } from "./openai/routes.ts";
import { addOperationRoutes } from "./operations/routes.ts";
import { pageFiles, playgroundFolder } from "./playground/files.ts";
import { servePlayground } from "./playground/serve.ts";

export interface AppOptions {
  readonly settings: Settings;
  readonly service: Service;
  readonly log: Log;
  /** For tests: how images are fetched. */
  readonly fetching?: Partial<FetchOptions>;
}

export interface AppParts {
  readonly app: App;
  readonly batchWork: BatchWork;
  readonly batchEngine: BatchEngine;
}

/** All routes as one handler of web-standard requests: `app.fetch` for Node, Deno, Bun and tests alike. */
export function createApp({ settings, service, log, fetching }: AppOptions): AppParts {
  const app: App = new OpenAPIHono<{ Variables: Variables }>();
  const { metrics } = service;

  app.use(observe(metrics, log));
  app.use(checkHost(settings.host, settings.allowedHosts));
  app.use(checkOrigin(settings.corsOrigin));
  const playground = settings.playground === "on" ? playgroundFolder() : undefined;
  const page = playground ? pageFiles(playground) : new Map<string, never>();
  app.use(requireKey(readKeys(settings.apiKey, settings.apiKeyFile), page));
  app.use(servePlayground(page));

  const names = new ModelNames(settings.model, settings.servedModelName);
  const folders = dataFolders(settings.dataDir);
  const files = new FileStore(folders.files, settings.maxStorage);
  const batches = new BatchStore(folders.batches);
  const loader = new ImageLoader({
    fetcher: new ImageFetcher({ ...settings, ...fetching }),
    maxImageBytes: settings.maxImageBytes,
    readFile: (id, maxBytes) => files.read(id, maxBytes),
    metrics,
  });
  const asking = new Asking(service, loader, settings.maxTasks);
  const florence2 = { service, asking, names, rules: settings };
  addFlorence2Routes(app, florence2);
  addOperationRoutes(app, service, names);
  const chat = new ChatCompletions(asking, names, settings);
  const responses = new Responses(asking, names, settings);
  addOpenAiRoutes(app, { service, names, chat, responses, limits: settings });
  addFileRoutes(app, files, settings.maxUpload);
  addMcpRoutes(app, toolPartsOf(settings, { service, asking, loader }), settings, log);

  const execute: Execute = (endpoint, body, context) => {
    const asker: Asker = { ...context, priority: "batch", note: () => {} };
    if (body.stream)
      throw badRequest("unsupported_parameter", "Requests of a batch cannot stream.", "stream");
    if (endpoint === "/v1/chat/completions") return chat.answer(validate(chatRequest, body), asker);
    if (endpoint === "/v1/responses") return responses.answer(validate(responsesRequest, body), asker);
    return answerFlorence2(florence2, requestOf(body, settings), asker);
  };
  const { queue, dataDir, lockDuration, batchConcurrency: concurrency } = settings;
  const answers = answerSettings(settings);
  const batchWork = new BatchWork({ files, batches, execute, concurrency, metrics, settings: answers });
  const batchEngine = queue
    ? new QueuedBatchEngine({ work: batchWork, batches, queue, dataDir, lockDuration, log })
    : new EmbeddedBatchEngine(batchWork, batches, log);
  addBatchRoutes(app, { files, batches, engine: batchEngine, limits: settings, model: names.own });

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
  return { app, batchWork, batchEngine };
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
