import { settingsWith } from "../config/answer_settings.ts";
import type { Settings } from "../config/settings.ts";
import type { LoadEngine } from "../engine/service.ts";
import { dataFolders } from "../files/data_dir.ts";
import type { Log } from "../http/log.ts";
import type { ServerParts } from "../server.ts";
import { BatchStore } from "./batch_store.ts";
import type { LinesJob } from "./queued_engine.ts";

export { BUNDLED_MODEL_WARNING } from "../engine/florence2_engine.ts";
export type { LoadEngine } from "../engine/service.ts";
export { LINES_QUEUE, type LinesJob } from "./queued_engine.ts";

export interface LineWorkerOptions {
  readonly device?: Settings["device"];
  readonly log: Log;
  /** Another engine than the model that the batch names. */
  readonly load?: LoadEngine;
}

/** Computes chunks of servers' batches in a process without a port, with the model and the settings of each batch. */
export class LineWorker {
  readonly #options: LineWorkerOptions;
  #key = "";
  #parts: ServerParts | undefined;

  constructor(options: LineWorkerOptions) {
    this.#options = options;
  }

  /** @throws the reason of `stop` if it aborts; finished lines are kept */
  async run({ dataDir, batch, chunk }: LinesJob, stop: AbortSignal): Promise<void> {
    const plan = await new BatchStore(dataFolders(dataDir).batches).readPlan(batch);
    if (!plan) return;
    const { device = "auto", log, load } = this.#options;
    const settings = settingsWith(plan.settings, { dataDir, device });
    const key = JSON.stringify(settings);
    if (this.#key !== key) await this.dispose();
    // Loaded here: workers without a batch start in half the time.
    const { createServer } = await import("../server.ts");
    this.#parts ??= createServer(settings, { log, load });
    this.#key = key;
    await this.#parts.service.start();
    await this.#parts.batchWork.computeChunk(batch, chunk, stop);
  }

  /** Counts of lines, for Prometheus; empty before the first chunk. */
  async metrics(): Promise<string> {
    const { registry } = this.#parts?.service.metrics ?? {};
    return (await registry?.getSingleMetricAsString("florence2_batch_lines_total")) ?? "";
  }

  /** Frees the model. */
  async dispose(): Promise<void> {
    const parts = this.#parts;
    this.#parts = undefined;
    await parts?.service.drain(0);
  }
}
