/** Models by where they are: folders, URLs, files at hand, and repositories on a Hugging Face hub. */
import { Florence2Error, quote } from "../core/errors.ts";
import { fileSystem, hasFileSystem } from "../core/platform.ts";
import { type Files, filesOver, isUrl, type OpenOptions, openFiles, type Source } from "./files.ts";
import { openHub } from "./hub/open_hub.ts";
import type { DownloadEvent } from "./hub/progress.ts";
import { type HubOptions, isRepositoryId } from "./hub/repository.ts";

export type { DownloadEvent } from "./hub/progress.ts";
export type { HubOptions } from "./hub/repository.ts";

export interface OpenModelOptions extends HubOptions, OpenOptions {
  readonly onProgress?: (event: DownloadEvent) => void;
  readonly onWarning?: (message: string) => void;
}

/**
 * The files of a model. A text that names an existing folder is that folder, whatever it looks like; else
 * `org/name` is a repository on the hub, whose files come as they are asked for and are kept.
 *
 * @param expected what is sure to be asked for: of each list, the first file that is there counts in the
 *   progress from the beginning
 * @throws {Florence2Error} file_not_found if the text is neither; what reading a repository throws
 */
export async function openModelFiles(
  source: Source,
  expected: readonly (readonly string[])[],
  options: OpenModelOptions = {},
): Promise<Files> {
  if (typeof source !== "string" || isUrl(source) || (await isFolder(source))) {
    return openFiles(source, options);
  }
  if (!isRepositoryId(source)) {
    if (!hasFileSystem) return openFiles(source, options);
    throw new Florence2Error(
      "file_not_found",
      `${quote(source)} is neither a folder here nor the id of a repository on a hub, such as microsoft/Florence-2-base.`,
      { source },
    );
  }
  const hub = await openHub(source, options);
  for (const names of expected) for (const name of names) if (await hub.has(name)) break;
  return filesOver((name) => hub.open(name));
}

async function isFolder(path: string): Promise<boolean> {
  if (!hasFileSystem) return false;
  const { stat } = await fileSystem();
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
