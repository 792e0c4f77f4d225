/** A repository with the cache of this runtime: Python's on disk, or the browser's (`open_hub.browser.ts`). */
import { hasFileSystem } from "../../core/platform.ts";
import type { RangedFile } from "../files.ts";
import type { OpenModelOptions } from "../open_model_files.ts";
import { BrowserCache } from "./browser_cache.ts";
import { Progress } from "./progress.ts";
import { repositoryOf } from "./repository.ts";

/** The files of one repository at one revision. */
export interface Hub {
  has(name: string): Promise<boolean>;
  open(name: string): Promise<RangedFile>;
}

export async function openHub(id: string, options: OpenModelOptions): Promise<Hub> {
  const { signal, onProgress, onWarning = (message) => console.warn(message) } = options;
  const progress = new Progress(id, onProgress);
  if (!hasFileSystem) return new BrowserCache(repositoryOf(id, options, signal), progress, onWarning);
  const { hubEnvironment } = await import("./environment.ts");
  const { DiskCache } = await import("./disk_cache.ts");
  const environment = await hubEnvironment();
  const { endpoint = environment.endpoint, token = environment.token, revision, fetch } = options;
  const repository = repositoryOf(id, { endpoint, token, revision, fetch }, signal);
  return new DiskCache(repository, environment, progress, onWarning);
}
