import { mkdtemp, readdir, readFile, readlink, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DiskCache } from "../../files/hub/disk_cache.ts";
import { type DownloadEvent, Progress } from "../../files/hub/progress.ts";
import { type HubOptions, type Persistence, repositoryOf } from "../../files/hub/repository.ts";
import { blobIdOf, type HubServer, isLarge, REPOSITORY, sha256Of } from "./hub_server.ts";

/** Tries as often as in earnest, in a hurry, and takes no pause of a busy machine for silence. */
export const HURRY: Persistence = { attempts: 4, pause: 1, silence: 60_000 };
/** For hubs that do fall silent. */
export const IMPATIENT: Persistence = { ...HURRY, silence: 1000 };

export interface CacheOptions extends HubOptions {
  readonly isOffline?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: DownloadEvent) => void;
  readonly onWarning?: (message: string) => void;
  readonly persistence?: Persistence;
}

export const newFolder = () => mkdtemp(join(tmpdir(), "florence2-hub-"));

/** The cache in a folder, as it is at the start of a process. */
export function cacheIn(folder: string, hub: HubServer, options: CacheOptions = {}): DiskCache {
  const { isOffline = false, signal, onProgress, onWarning = () => {}, persistence = HURRY } = options;
  const repository = repositoryOf(REPOSITORY, { endpoint: hub.url, ...options }, signal, persistence);
  return new DiskCache(
    repository,
    { cacheFolder: folder, isOffline },
    new Progress(REPOSITORY, onProgress),
    onWarning,
  );
}

/** The content of a file, fetched if need be. */
export async function contentOf(cache: Pick<DiskCache, "open">, name: string): Promise<Uint8Array> {
  const file = await cache.open(name);
  try {
    return await file.read(0, file.size);
  } finally {
    await file.close();
  }
}

/** Everything in a folder: links as "-> target", files as their size, unfinished downloads and locks apart. */
export async function listing(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found: Record<string, string> = {};
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length + 1);
    if (entry.isSymbolicLink()) found[name] = `-> ${await readlink(path)}`;
    else if (entry.isFile()) found[name] = String((await stat(path)).size);
  }
  return found;
}

/** Files under a final name whose content is not what the name says, and what must not outlive a call. */
export async function faultsIn(folder: string): Promise<string[]> {
  const faults: string[] = [];
  for (const [path, kind] of Object.entries(await listing(folder))) {
    if (/\.(owner|tmp)$/.test(path)) faults.push(path);
    if (!/\/(blobs|snapshots)\//.test(path) || path.endsWith(".incomplete")) continue;
    const name = (kind.startsWith("->") ? kind : path).split("/").at(-1)!;
    const bytes = await readFile(join(folder, path)).catch(() => new Uint8Array(0));
    if (![sha256Of(bytes), blobIdOf(bytes)].includes(name)) faults.push(`${path}: ${bytes.length} bytes`);
  }
  return faults;
}

/** What Python's hub leaves after fetching the same files from `main`. */
export function expectedListing(
  files: Readonly<Record<string, Uint8Array>>,
  commit: string,
  missing: readonly string[] = [],
): Record<string, string> {
  const repository = `models--${REPOSITORY.replace("/", "--")}`;
  const tree: Record<string, string> = { [`${repository}/refs/main`]: String(commit.length) };
  for (const [name, bytes] of Object.entries(files)) {
    const etag = isLarge(name) ? sha256Of(bytes) : blobIdOf(bytes);
    const up = "../".repeat(name.split("/").length + 1);
    tree[`${repository}/blobs/${etag}`] = String(bytes.length);
    tree[`${repository}/snapshots/${commit}/${name}`] = `-> ${up}blobs/${etag}`;
  }
  for (const name of missing) tree[`${repository}/.no_exist/${commit}/${name}`] = "0";
  return tree;
}
