/** Faults of the network, as they come to a page: it asks for the list of files where others ask for heads. */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { BrowserCache } from "../../../files/hub/browser_cache.ts";
import { Progress } from "../../../files/hub/progress.ts";
import { repositoryOf } from "../../../files/hub/repository.ts";
import { cacheStorage } from "../../support/cache_storage.ts";
import { florenceError } from "../../support/errors.ts";
import { contentOf, HURRY } from "../../support/hub_cache.ts";
import { files, persistenceFor, ROWS, type Row } from "../../support/hub_faults.ts";
import {
  type Fault,
  faultAt,
  type HubServer,
  REPOSITORY,
  sha256Of,
  startHub,
  withBody,
} from "../../support/hub_server.ts";

// As in a browser, where redirects are followed unseen.
vi.mock("../../../core/platform.ts", async (original) => ({
  ...(await original<typeof import("../../../core/platform.ts")>()),
  hasFileSystem: false,
}));

const changed = (pattern: RegExp, text: string) => (body: Uint8Array) =>
  Buffer.from(new TextDecoder().decode(body).replaceAll(pattern, text));
const rows: readonly Row[] = [
  ...ROWS.flatMap(([what, target, ...rest]): Row[] => {
    // Headers of an answer to HEAD.
    if (target === "head weights" || what.startsWith("a commit")) return [];
    return [[what, target === "head config" ? "list" : target, ...rest]];
  }),
  [
    "a commit that leads out of the folder",
    "list",
    Infinity,
    withBody(changed(/"sha":"\w+"/g, '"sha":"../../x"')),
    "download_failed",
  ],
  ["no sizes", "list", Infinity, withBody(changed(/"size":/g, '"length":')), "download_failed"],
  ["no list", "list", Infinity, withBody(() => Buffer.from("[]")), "download_failed"],
];

describe("faults of the network, to a page", () => {
  let hub: HubServer;
  beforeAll(async () => {
    hub = await startHub(files);
  });
  afterAll(async () => {
    vi.unstubAllGlobals();
    await hub.close();
  });
  const fetchAll = async (persistence = HURRY) => {
    const repository = repositoryOf(REPOSITORY, { endpoint: hub.url }, undefined, persistence);
    const cache = new BrowserCache(repository, new Progress(REPOSITORY), () => {});
    for (const [name, bytes] of Object.entries(files))
      expect(sha256Of(await contentOf(cache, name)), name).toBe(sha256Of(bytes));
  };

  it.each(rows)("%s (%s, %d times)", async (what, target, times, fault, outcome) => {
    vi.stubGlobal("caches", cacheStorage());
    let hits = 0;
    const counted: Fault = (...all) => {
      hits++;
      return fault(...all);
    };
    hub.faults = [faultAt(target, times, counted)];
    const fetched = fetchAll(persistenceFor(what));
    if (outcome === "works") await fetched;
    else await expect(fetched).rejects.toEqual(florenceError(outcome, "florence/tiny"));
    expect(hits).toBeGreaterThan(0);
    hub.faults = [];
    await fetchAll();
  });
});
