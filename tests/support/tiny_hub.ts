/** A hub with a small repository for the file that imports this, and an empty cache before each of its tests. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, vi } from "vitest";
import { mix } from "../../measure/generated/random.ts";
import { type CacheOptions, cacheIn, contentOf, newFolder } from "./hub_cache.ts";
import { type HubServer, sha256Of, startHub } from "./hub_server.ts";

export const text = (content: string) => new TextEncoder().encode(content);
export const bytes = (length: number, seed = 0) => Uint8Array.from({ length }, (_, i) => mix(i + seed));

/** What is in the repository. */
export const files = {
  "config.json": text('{"model_type": "florence2"}'),
  "tokenizer/merges.txt": text("#version: 0.2\n"),
  "model.safetensors": bytes(3_000_000),
};
export const NAMES = Object.keys(files) as (keyof typeof files)[];
export const weights = files["model.safetensors"];

export let hub: HubServer;
/** The folder of the cache. */
export let folder: string;
beforeAll(async () => {
  hub = await startHub(files);
});
beforeEach(async () => {
  folder = await newFolder();
  hub.push(files);
  [hub.faults, hub.access, hub.requests.length] = [[], undefined, 0];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});
afterAll(() => hub.close());

export const inRepository = (...parts: string[]) => join(folder, "models--florence--tiny", ...parts);
/** Where the weights end up, or with an ending what stands there meanwhile. */
export const blob = (ending = "") => inRepository("blobs", sha256Of(weights) + ending);

/** Fetches every file of the repository by a cache of its own, and expects their content. */
export async function fetchAll(options: CacheOptions = {}): Promise<void> {
  const cache = cacheIn(folder, hub, options);
  for (const name of NAMES) expect(sha256Of(await contentOf(cache, name)), name).toBe(sha256Of(files[name]));
}

/** Requests by method since the last look. */
export const asked = (method: string) => hub.requests.filter((request) => request.method === method);
/** The ranges that were asked of the CDN; a whole file is `undefined`. */
export const ranges = () =>
  asked("GET").flatMap(({ headers, host }) => (host === "cdn" ? [headers.range] : []));
