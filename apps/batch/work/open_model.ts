import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Florence2 } from "florence2-webgpu";
import type { BatchModel } from "../chunk/compute.ts";
import type { RunPlan, RunSettings } from "../plan/plan.ts";

/** How a worker computes; nothing of it decides an answer. */
export interface DeviceOptions {
  readonly device?: "auto" | "gpu" | "cpu";
  readonly threads?: number;
}

export type OpenModel = (
  settings: Pick<RunSettings, "model" | "revision" | "dtype">,
  options: DeviceOptions,
  signal: AbortSignal,
) => Promise<BatchModel>;

export const openModel: OpenModel = async (plan, { device, threads }, signal) => {
  const source = plan.model === "bundled" ? bundledModel() : plan.model;
  const model = await Florence2.fromPretrained(source, {
    device,
    threads,
    dtype: plan.dtype as "auto",
    revision: plan.revision,
    signal,
  });
  return {
    runBatch: (items, options) => model.runBatch<string & {}>(items, options),
    dispose: () => model.dispose(),
  };
};

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
