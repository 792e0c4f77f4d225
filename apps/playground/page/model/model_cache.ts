import type { CachedModel } from "florence2-webgpu/browser";
import { WorkerLink } from "../engines/worker_link.ts";
import { begunChoice } from "./kept_choice.ts";

/** The models in this browser's cache, by a worker that knows the library. */
export class ModelCache {
  async list(): Promise<CachedModel[]> {
    const models = await withWorker((link) => link.call("cachedModels", undefined));
    // Of a download that was left early the cache may have small files alone, which are whole.
    const begun = begunChoice.get()?.source;
    return models.map((model) =>
      model.id === begun ? { ...model, unfinished: Math.max(1, model.unfinished) } : model,
    );
  }

  async delete(id: string): Promise<void> {
    begunChoice.forget(id);
    await withWorker((link) => link.call("deleteCachedModel", id));
  }

  /** Whether all of a model is here, so that it opens without a network. */
  async has(id: string): Promise<boolean> {
    return (await this.list()).some((model) => model.id === id && model.unfinished === 0);
  }
}

async function withWorker<T>(use: (link: WorkerLink) => Promise<T>): Promise<T> {
  const link = new WorkerLink();
  try {
    return await use(link);
  } finally {
    link.close();
  }
}
