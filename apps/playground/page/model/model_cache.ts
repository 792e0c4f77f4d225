import type { CachedModel } from "florence2-webgpu/browser";
import { WorkerLink } from "../engines/worker_link.ts";

/** The models in this browser's cache, by a worker that knows the library. */
export class ModelCache {
  async list(): Promise<CachedModel[]> {
    return withWorker((link) => link.call("cachedModels", undefined));
  }

  async delete(id: string): Promise<void> {
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
