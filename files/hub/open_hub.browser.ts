/** `open_hub.ts` for browsers, by the condition "browser" of package.json. */
import type { OpenModelOptions } from "../open_model_files.ts";
import { BrowserCache } from "./browser_cache.ts";
import type { Hub } from "./open_hub.ts";
import { Progress } from "./progress.ts";
import { repositoryOf } from "./repository.ts";

export async function openHub(id: string, options: OpenModelOptions): Promise<Hub> {
  const { signal, onProgress, onWarning = (message) => console.warn(message) } = options;
  return new BrowserCache(repositoryOf(id, options, signal), new Progress(id, onProgress), onWarning);
}
