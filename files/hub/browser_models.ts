/** The models that the browser keeps: what browser_cache.ts puts into the Cache API, looked through and deleted. */
import { CACHE } from "./browser_cache.ts";

export interface CachedModel {
  /** `org/name`. */
  readonly id: string;
  readonly bytes: number;
  /** Downloads that were not finished; the next one goes on there. */
  readonly unfinished: number;
}

/** The models that this browser keeps for this site, by name; none where it has no cache. */
export async function cachedModels(): Promise<CachedModel[]> {
  const models = new Map<string, { bytes: number; whole: Set<string>; begun: Set<string> }>();
  const cache = await openCache();
  for (const request of (await cache?.keys()) ?? []) {
    const url = new URL(request.url);
    const id = modelOf(url);
    if (id === undefined) continue;
    const model = models.get(id) ?? { bytes: 0, whole: new Set(), begun: new Set() };
    models.set(id, model);
    if (isList(url)) continue;
    model.bytes += (await (await cache!.match(request))!.blob()).size;
    (url.searchParams.has("piece") ? model.begun : model.whole).add(url.pathname);
  }
  const found = [...models].map(([id, { bytes, whole, begun }]) => ({
    id,
    bytes,
    unfinished: [...begun].filter((path) => !whole.has(path)).length,
  }));
  return found.filter(({ bytes }) => bytes > 0).sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Deletes a model's files, in every revision and from every hub. */
export async function deleteCachedModel(id: string): Promise<void> {
  const cache = await openCache();
  for (const request of (await cache?.keys()) ?? [])
    if (modelOf(new URL(request.url)) === id) await cache!.delete(request);
}

async function openCache(): Promise<Cache | undefined> {
  return globalThis.caches?.open(CACHE);
}

const isList = ({ pathname }: URL) => pathname.includes("/api/models/");

/** The repository of an address of repository.ts: `…/api/models/ID/revision/…` or `…/ID/resolve/…`. */
function modelOf(url: URL): string | undefined {
  const pattern = isList(url) ? /\/api\/models\/([^/]+\/[^/]+)\/revision\// : /([^/]+\/[^/]+)\/resolve\//;
  return pattern.exec(url.pathname)?.[1];
}
