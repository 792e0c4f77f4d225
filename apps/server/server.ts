import { type AppOptions, createApp } from "./app.ts";
import type { Settings } from "./config/settings.ts";
import type { Engine } from "./engine/engine.ts";
import { Florence2Engine } from "./engine/florence2_engine.ts";
import { Service } from "./engine/service.ts";
import { createLog, type Log } from "./http/log.ts";
import { ModelNames } from "./openai/model_names.ts";
import type { App } from "./openai/routes.ts";
import { Metrics } from "./operations/metrics.ts";
import { version } from "./operations/version.ts";

export interface ServerParts {
  readonly app: App;
  readonly service: Service;
  readonly log: Log;
  /** Loads the model; requests before get 503. */
  start(): Promise<void>;
  /** Lets accepted requests finish, for `shutdownTimeout` at most, and frees the model. */
  stop(): Promise<void>;
}

export interface ServerOptions extends Pick<AppOptions, "fetching" | "batchEngine"> {
  readonly log?: Log;
  /** Another engine than the model that the settings name. */
  readonly load?: (signal: AbortSignal) => Promise<Engine>;
}

/** The whole service by its settings, without a port: `app.fetch` answers requests. */
export function createServer(settings: Settings, options: ServerOptions = {}): ServerParts {
  const log = options.log ?? createLog(settings.logFormat, (line) => void process.stderr.write(`${line}\n`));
  const metrics = new Metrics();
  const { model, revision, device, dtype, maxPixels, maxImageBytes } = settings;
  const loadModel = (signal: AbortSignal) =>
    Florence2Engine.load(
      model,
      {
        ...(revision && { revision }),
        device: device === "auto" ? undefined : device,
        dtype,
        signal,
        onWarning: (message) => log({ level: "warn", event: "model_warning", message }),
      },
      { maxPixels, maxBytes: maxImageBytes },
    );
  const service = new Service({
    ...settings,
    metrics,
    load: options.load ?? loadModel,
    onEvent: (event, details) => log({ level: "warn", event, ...details }),
  });
  const { app, batchEngine } = createApp({ ...options, settings, service, log });
  return {
    app,
    service,
    log,
    async start() {
      await service.start();
      await batchEngine.start();
      const name = new ModelNames(model, []).own;
      metrics.info.set({ version, model: name, dtype, device: service.device?.name ?? "" }, 1);
      log({ event: "ready", model: name, device: service.device?.name });
    },
    async stop() {
      await Promise.all([batchEngine.stop(), service.drain(settings.shutdownTimeout)]);
    },
  };
}
