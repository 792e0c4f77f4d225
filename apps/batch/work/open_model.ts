import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Florence2, type ProgressEvent } from "florence2-webgpu";
import type { BatchModel } from "../chunk/compute.ts";
import type { RunPlan, RunSettings } from "../plan/plan.ts";

/** How a worker computes; nothing of it decides an answer. */
export interface DeviceOptions {
  readonly device?: "auto" | "gpu" | "cpu";
  readonly threads?: number;
}

export type ModelSettings = Pick<RunSettings, "model" | "revision" | "dtype">;

export interface OpenModel {
  (settings: ModelSettings, options: DeviceOptions, signal: AbortSignal): Promise<BatchModel>;
  /** Throws what opening throws, as far as that is known without the weights. */
  readonly check?: (settings: ModelSettings, signal: AbortSignal) => Promise<void>;
}

export const openModel: OpenModel = Object.assign(
  async (plan: ModelSettings, { device, threads }: DeviceOptions, signal: AbortSignal) => {
    const model = await Florence2.fromPretrained(sourceOf(plan), {
      device,
      threads,
      dtype: plan.dtype as "auto",
      revision: plan.revision,
      signal,
    });
    const opened: BatchModel = {
      runBatch: (items, options) => model.runBatch<string & {}>(items, options),
      dispose: () => model.dispose(),
    };
    return opened;
  },
  { check: checkModel },
);

/** Opens a model up to its weights, of which nothing is downloaded. */
async function checkModel(plan: ModelSettings, signal: AbortSignal): Promise<void> {
  const weights = new AbortController();
  try {
    const model = await Florence2.fromPretrained(sourceOf(plan), {
      device: "cpu",
      threads: 1,
      revision: plan.revision,
      signal: AbortSignal.any([signal, weights.signal]),
      onProgress: (event) => {
        if (isOfWeights(event)) weights.abort();
      },
      onWarning: () => {},
    });
    model.dispose();
  } catch (error) {
    signal.throwIfAborted();
    if (!weights.signal.aborted) throw error;
  }
}

function isOfWeights(event: ProgressEvent): boolean {
  if (event.status === "download") return /\.(safetensors|bin)$/.test(event.file);
  return event.status === "load";
}

const sourceOf = ({ model }: ModelSettings) => (model === "bundled" ? bundledModel() : model);

function bundledModel(): string {
  return join(
    dirname(fileURLToPath(import.meta.resolve("florence2-webgpu/package.json"))),
    "checkpoints/nano",
  );
}

/** Keeps the model of the last run: chunks of one run come one after another. */
export class ModelCache {
  readonly #open: OpenModel;
  readonly #options: DeviceOptions;
  #name = "";
  #model: Promise<BatchModel> | undefined;

  constructor(open: OpenModel, options: DeviceOptions) {
    this.#open = open;
    this.#options = options;
  }

  async get(plan: RunPlan, signal: AbortSignal): Promise<BatchModel> {
    const name = JSON.stringify([plan.model, plan.revision, plan.dtype]);
    if (this.#model && this.#name === name) return this.#model;
    await this.dispose();
    this.#name = name;
    this.#model = this.#open(plan, this.#options, signal);
    // A failed start is tried again with the next chunk.
    this.#model.catch(() => {
      this.#model = undefined;
    });
    return this.#model;
  }

  /** Frees the model; after the loss of a device, so that the next chunk opens it again. */
  async dispose(): Promise<void> {
    const model = await this.#model?.catch(() => undefined);
    this.#model = undefined;
    await model?.dispose();
  }
}
