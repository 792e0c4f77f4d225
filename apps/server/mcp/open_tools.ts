import type { Settings } from "../config/settings.ts";
import type { LoadEngine, Service } from "../engine/service.ts";
import type { Log } from "../http/log.ts";
import { type FetchOptions, ImageFetcher } from "../images/fetch_image.ts";
import { ImageLoader } from "../images/load_image.ts";
import { Asking } from "../openai/ask.ts";
import { createService } from "../server.ts";
import { KeptImages } from "./kept_images.ts";
import type { ToolParts } from "./visit.ts";
import { PATIENCE_MILLISECONDS } from "./wait.ts";

/** Image files, in total; `imageCache` counts their features. */
const KEPT_BYTES = 64_000_000;

/** The tools' parts over a service that is there. */
export function toolPartsOf(
  { model, maxPixels, maxImageBytes }: Pick<Settings, "model" | "maxPixels" | "maxImageBytes">,
  shared: Pick<ToolParts, "service" | "asking" | "loader">,
): ToolParts {
  return {
    ...shared,
    kept: new KeptImages(KEPT_BYTES),
    limits: { maxPixels, maxBytes: maxImageBytes },
    isBundled: model === "",
    isLocal: false,
    patience: PATIENCE_MILLISECONDS,
  };
}

export interface OpenTools {
  readonly parts: ToolParts;
  readonly service: Service;
  stop(): Promise<void>;
}

export interface OpenToolsOptions extends Pick<ToolParts, "readPath"> {
  readonly log: Log;
  /** Another engine than the model that the settings name. */
  readonly load?: LoadEngine;
  readonly fetching?: Partial<FetchOptions>;
  readonly patience?: number;
}

/** The tools on their own, without a port: the model is loaded when the first call needs it. */
export function openTools(settings: Settings, options: OpenToolsOptions): OpenTools {
  const { log, load, fetching, readPath, patience } = options;
  const service = createService(settings, { log, load });
  const loader = new ImageLoader({
    fetcher: new ImageFetcher({ ...settings, ...fetching }),
    maxImageBytes: settings.maxImageBytes,
    readFile: async () => undefined,
    metrics: service.metrics,
  });
  const asking = new Asking(service, loader, settings.maxTasks);
  const parts = toolPartsOf(settings, { service, asking, loader });
  return {
    parts: { ...parts, isLocal: true, readPath, ...(patience !== undefined && { patience }) },
    service,
    stop: () => service.drain(0),
  };
}
