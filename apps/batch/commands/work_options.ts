import { BUNDLED_MODEL_WARNING, type LinesJob, LineWorker, type LoadEngine } from "florence2-server/batches";
import { Florence2Error } from "florence2-webgpu";
import type { LoadItem } from "../chunk/compute.ts";
import { FETCH_DEFAULTS, urlFetcher } from "../inputs/fetch_url.ts";
import { itemLoader } from "../inputs/load_item.ts";
import { measureChunk } from "../plan/measure_chunk.ts";
import type { MeasureChunk, RunSettings } from "../plan/plan.ts";
import type { WorkOptions } from "../work/embedded.ts";
import { serveMetrics, WorkerMetrics } from "../work/metrics.ts";
import { ModelCache, type ModelSettings, type OpenModel } from "../work/open_model.ts";
import { probeWith } from "../work/probe.ts";
import { counted, deviceOptions, oneOf, type Values, wholeNumber } from "./options.ts";
import type { WorkProgress } from "./progress.ts";

interface WorkParts {
  readonly values: Values;
  readonly signal: AbortSignal;
  readonly open: OpenModel;
  readonly load?: LoadEngine;
  readonly progress: WorkProgress;
  /** The command line of this program. */
  readonly program: readonly string[];
}

/** Options that say how images are computed, for a process that does so for this one. */
const PROBE_FLAGS = ["device", "threads", "image-urls", "allowed-media-domains"] as const;

/** The options of a worker. */
export async function openWork({ values, signal, open, load, progress, program }: WorkParts) {
  const own = deviceOptions(values);
  const models = new ModelCache(open, own);
  const log = ({ event, error, message }: Readonly<Record<string, unknown>>) =>
    progress.note(`${event}: ${error ?? message ?? ""}`);
  const requests = new LineWorker({ device: own.device, log, load });
  const metrics = new WorkerMetrics(() => requests.metrics());
  const port = wholeNumber("metrics-port", values);
  const served = port === undefined ? undefined : await serveMetrics(metrics, port);
  const options: WorkOptions = {
    load: loaderOf(values),
    async model(plan, stop) {
      // A device has one model.
      await requests.dispose();
      return models.get(plan, stop);
    },
    probe(storage, chunk) {
      const flags = PROBE_FLAGS.flatMap((name) => (values[name] ? [`--${name}`, values[name]] : []));
      const probe = probeWith(program, storage.url, chunk, flags);
      return async (indices, stop) => {
        progress.note(
          `chunk ${chunk}: a process died at ${counted(indices.length, "image")}; another one computes them`,
        );
        await Promise.all([models.dispose(), requests.dispose()]);
        return probe(indices, stop);
      };
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

/** Gets images, from URLs by the policy of the command line. */
export function loaderOf(values: Values): LoadItem {
  const imageUrls = oneOf("image-urls", values, ["public", "list", "any", "off"]) ?? "public";
  const allowedMediaDomains = values["allowed-media-domains"]?.split(",") ?? [];
  if (imageUrls === "list" && allowedMediaDomains.length === 0) {
    const message = "--image-urls list needs --allowed-media-domains, such as img.example,*.example.";
    throw new Florence2Error("option_invalid", message, { imageUrls });
  }
  const fetchUrl = urlFetcher({ ...FETCH_DEFAULTS, imageUrls, allowedMediaDomains });
  return itemLoader(fetchUrl);
}

/** Images of a chunk where nothing is said or known. */
export const CHUNK = 128;

/** Workers on all machines would fail on a model that is not there. */
export async function checkModel(
  settings: ModelSettings,
  { values, signal, open }: Pick<WorkParts, "values" | "signal" | "open">,
): Promise<void> {
  const say = (text: string) => values.quiet || process.stderr.write(`${text}\n`);
  if (settings.model === "bundled") say(BUNDLED_MODEL_WARNING);
  else if (!values.unchecked) {
    try {
      await open.check?.(settings, signal);
    } catch (error) {
      if (!(error instanceof Florence2Error)) throw error;
      const { code, message, details } = error;
      // This machine may reach less than the workers do.
      if (code === "download_failed") return void say(`The model was not looked for: ${message}`);
      const remedy = "If only the workers have the model, --unchecked plans without a look at it.";
      throw new Florence2Error(code, `--model ${settings.model}: ${message} ${remedy}`, details, error);
    }
  }
}

/** Opens the model on this machine, and measures how many images it answers in a minute. */
export function chunkMeasurer({
  values,
  signal,
  open,
  settings,
}: Pick<WorkParts, "values" | "signal" | "open"> & {
  readonly settings: Omit<RunSettings, "chunkSize">;
}): MeasureChunk {
  const say = (text: string) => values.quiet || process.stderr.write(`${text}\n`);
  return async (items) => {
    const model = await open(settings, deviceOptions(values), signal);
    try {
      const found = await measureChunk(model, items, settings, loaderOf(values), signal);
      if (!found) say(`--chunk auto: none of the images tried has an answer; a chunk has ${CHUNK} images`);
      else {
        const { chunkSize, imagesPerSecond } = found;
        const speed = imagesPerSecond.toPrecision(2);
        say(`--chunk auto: ${speed} images a second here; a chunk has ${chunkSize}, a minute of work`);
      }
      return found?.chunkSize ?? CHUNK;
    } finally {
      await model.dispose();
    }
  };
}
