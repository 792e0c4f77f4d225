import type { ProgressEvent } from "florence2-webgpu";
import { type AppOptions, createApp } from "./app.ts";
import type { BatchWork } from "./batches/batch_work.ts";
import { usualDataDir } from "./config/read_settings.ts";
import type { Settings } from "./config/settings.ts";
import { BUNDLED_MODEL_WARNING, Florence2Engine } from "./engine/florence2_engine.ts";
import { type LoadEngine, Service } from "./engine/service.ts";
import { expectDataDir } from "./files/data_dir.ts";
import { createLog, type Log } from "./http/log.ts";
import { ModelNames } from "./openai/model_names.ts";
import type { App } from "./openai/routes.ts";
import { Metrics } from "./operations/metrics.ts";
import { version } from "./operations/version.ts";

export interface ServerParts {
  readonly app: App;
  readonly service: Service;
  readonly log: Log;
  readonly batchWork: BatchWork;
  /**
   * Loads the model; requests before get 503.
   *
   * @throws {Florence2Error} `file_unwritable` if files cannot be kept in the folder that the settings name
   */
  start(): Promise<void>;
  /** Lets accepted requests finish, for `shutdownTimeout` at most, and frees the model. */
  stop(): Promise<void>;
}

export interface ServerOptions extends Pick<AppOptions, "fetching"> {
  readonly log?: Log;
  /** Another engine than the model that the settings name. */
  readonly load?: LoadEngine;
}

/** The model that settings name, not loaded yet, and its queue. */
export function createService(
  settings: Settings,
  { log, load = loaderOf(settings, log) }: { readonly log: Log; readonly load?: LoadEngine },
): Service {
  const onEvent = (event: string, details: object) => log({ level: "warn", event, ...details });
  return new Service({ ...settings, metrics: new Metrics(), load, onEvent });
}

function loaderOf(settings: Settings, log: Log): LoadEngine {
  const { model, revision, device, dtype, maxPixels, maxImageBytes } = settings;
  const warn = (message: string) => log({ level: "warn", event: "model_warning", message });
  return (signal, tell) => {
    if (!model) warn(BUNDLED_MODEL_WARNING);
    const options = {
      ...(revision && { revision }),
      device: device === "auto" ? undefined : device,
      dtype,
      signal,
      onProgress: (event: ProgressEvent) => {
        const { status } = event;
        if (status === "progress_total") tell({ stage: "downloaded", percent: event.progress });
        if (status === "load") tell({ stage: "loaded", percent: event.progress });
      },
      onWarning: warn,
    };
    return Florence2Engine.load(model, options, { maxPixels, maxBytes: maxImageBytes });
  };
}

/**
 * A folder that was named must be writable; without the usual one all but files and batches works.
 *
 * @throws {Florence2Error} `file_unwritable`
 */
function checkDataDir({ dataDir, queue }: Settings, log: Log): void {
  try {
    expectDataDir(dataDir);
  } catch (error) {
    if (queue || dataDir !== usualDataDir(process.env)) throw error;
    log({ level: "warn", event: "data_dir_unwritable", message: (error as Error).message });
  }
}

/** The whole service by its settings, without a port: `app.fetch` answers requests. */
export function createServer(settings: Settings, options: ServerOptions = {}): ServerParts {
  const log = options.log ?? createLog(settings.logFormat, (line) => void process.stderr.write(`${line}\n`));
  const service = createService(settings, { log, load: options.load });
  const { app, batchWork, batchEngine } = createApp({ ...options, settings, service, log });
  return {
    app,
    service,
    log,
    batchWork,
    async start() {
      checkDataDir(settings, log);
      await service.start();
      await batchEngine.start();
      const { model, dtype } = settings;
      const name = new ModelNames(model, []).own;
      service.metrics.info.set({ version, model: name, dtype, device: service.device?.name ?? "" }, 1);
      log({ event: "ready", model: name, device: service.device?.name });
    },
    async stop() {
      await Promise.all([batchEngine.stop(), service.drain(settings.shutdownTimeout)]);
    },
  };
}
