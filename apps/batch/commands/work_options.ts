import { type LinesJob, LineWorker, type LoadEngine } from "florence2-server/batches";
import { FETCH_DEFAULTS, urlFetcher } from "../inputs/fetch_url.ts";
import { itemLoader } from "../inputs/load_item.ts";
import type { WorkOptions } from "../work/embedded.ts";
import { serveMetrics, WorkerMetrics } from "../work/metrics.ts";
import { ModelCache, type OpenModel } from "../work/open_model.ts";
import { deviceOptions, oneOf, type Values, wholeNumber } from "./options.ts";
import type { WorkProgress } from "./progress.ts";

interface WorkParts {
  readonly values: Values;
  readonly signal: AbortSignal;
  readonly open: OpenModel;
  readonly load?: LoadEngine;
  readonly progress: WorkProgress;
}

/** What a worker needs, by its command line. */
export async function openWork({ values, signal, open, load, progress }: WorkParts) {
  const own = deviceOptions(values);
  const models = new ModelCache(open, own);
  const log = ({ event, error, message }: Readonly<Record<string, unknown>>) =>
    progress.note(`${event}: ${error ?? message ?? ""}`);
  const requests = new LineWorker({ device: own.device, log, load });
  const metrics = new WorkerMetrics(() => requests.metrics());
  const port = wholeNumber("metrics-port", values);
  const served = port === undefined ? undefined : await serveMetrics(metrics, port);
  const fetchUrl = urlFetcher({
    ...FETCH_DEFAULTS,
    imageUrls: oneOf("image-urls", values, ["public", "list", "off"]) ?? "public",
    allowedMediaDomains: values["allowed-media-domains"]?.split(",") ?? [],
  });
  const options: WorkOptions = {
    load: itemLoader(fetchUrl),
    async model(plan, stop) {
      // A device has one model.
      await requests.dispose();
      return models.get(plan, stop);
    },
    signal,
    onRows(rows) {
      progress.add(rows);
      metrics.add(rows);
    },
    onChunk(end, plan) {
      progress.endChunk(end, plan);
      metrics.endChunk(end);
    },
  };
  const lines = async (job: LinesJob, stop: AbortSignal) => {
    await models.dispose();
    await requests.run(job, stop);
  };
  const close = async () => {
    served?.close();
    await models.dispose();
    await requests.dispose();
  };
  return { options, lines, close };
}
