/** The contents of the cache of models that disk_cache.ts and Python's hub fill. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import * as fs from "node:fs/promises";
import { join } from "node:path";

export interface CachedRepository {
  /** `org/name`. */
  readonly id: string;
  readonly bytes: number;
  /** Branches and tags that were asked for. */
  readonly revisions: readonly string[];
  /** Downloads that were not finished; the next one goes on there. */
  readonly unfinished: number;
}

/** The models in a cache folder; none where there is no folder. */
export async function cachedRepositories(cacheFolder: string): Promise<CachedRepository[]> {
  const found: CachedRepository[] = [];
  for (const name of (await namesIn(cacheFolder)).sort()) {
    const id = /^models--(.+)$/.exec(name)?.[1]?.replace("--", "/");
    if (id === undefined) continue;
    const blobs = join(cacheFolder, name, "blobs");
    const names = await namesIn(blobs);
    const sizes = await Promise.all(names.map(async (blob) => (await fs.stat(join(blobs, blob))).size));
    found.push({
      id,
      bytes: sizes.reduce((sum, size) => sum + size, 0),
      revisions: await filesBelow(join(cacheFolder, name, "refs")),
      unfinished: names.filter((blob) => blob.endsWith(".incomplete")).length,
    });
  }
  return found;
}

/** Paths of a cached model's files whose content is not the one that they are named by. Reads them all. */
export async function damagedFiles(cacheFolder: string, id: string): Promise<string[]> {
  const blobs = join(cacheFolder, `models--${id.replace("/", "--")}`, "blobs");
  const damaged: string[] = [];
  for (const name of await namesIn(blobs)) {
    const path = join(blobs, name);
    if (/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(name) && (await etagOf(path, name.length)) !== name)
      damaged.push(path);
  }
  return damaged;
}

/** The hub names a large file by its SHA-256 (64 digits), others as git does (40). */
async function etagOf(path: string, digits: number): Promise<string> {
  const hash = digits === 64 ? createHash("sha256") : createHash("sha1");
  if (digits === 40) hash.update(`blob ${(await fs.stat(path)).size}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  return hash.digest("hex");
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await fs.readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

const namesIn = (folder: string) => fs.readdir(folder).catch(() => [] as string[]);
