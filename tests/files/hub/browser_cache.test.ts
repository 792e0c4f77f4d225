import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { BrowserCache } from "../../../files/hub/browser_cache.ts";
import { type DownloadEvent, Progress } from "../../../files/hub/progress.ts";
import { repositoryOf } from "../../../files/hub/repository.ts";
import { openModelFiles } from "../../../files/open_model_files.ts";
import { mix } from "../../../measure/generated/random.ts";
import { cacheStorage } from "../../support/cache_storage.ts";
import { florenceError } from "../../support/errors.ts";
import { contentOf, HURRY } from "../../support/hub_cache.ts";
import {
  chunked,
  cut,
  faultAt,
  type HubServer,
  REPOSITORY,
  sha256Of,
  startHub,
  status,
} from "../../support/hub_server.ts";

// As in a browser, where redirects are followed unseen.
vi.mock("../../../core/platform.ts", async (original) => ({
  ...(await original<typeof import("../../../core/platform.ts")>()),
  hasFileSystem: false,
}));

const files = {
  "config.json": new TextEncoder().encode('{"model_type": "florence2"}'),
  "model.safetensors": Uint8Array.from({ length: 17_000_000 }, (_, i) => mix(i)),
};
const NAMES = Object.keys(files) as (keyof typeof files)[];

describe("a cache in the browser", () => {
  let hub: HubServer;
  beforeAll(async () => {
    hub = await startHub(files);
  });
  beforeEach(() => {
    hub.push(files);
    [hub.faults, hub.access, hub.requests.length] = [[], undefined, 0];
  });
  afterEach(() => vi.unstubAllGlobals());
  afterAll(() => hub.close());

  const warnings: string[] = [];
  const newCache = ({
    token,
    signal,
    onProgress,
  }: {
    token?: string;
    signal?: AbortSignal;
    onProgress?: (event: DownloadEvent) => void;
  } = {}) => {
    warnings.length = 0;
    return new BrowserCache(
      repositoryOf(REPOSITORY, { endpoint: hub.url, token }, signal, HURRY),
      new Progress(REPOSITORY, onProgress),
      (message) => warnings.push(message),
    );
  };
  const fetchAll = async (cache = newCache()) => {
    for (const name of NAMES)
      expect(sha256Of(await contentOf(cache, name)), name).toBe(sha256Of(files[name]));
    expect(await cache.has("absent.json")).toBe(false);
    await expect(cache.open("absent.json")).rejects.toEqual(florenceError("file_not_found", "absent.json"));
  };
  const ranges = () => hub.requests.flatMap(({ host, headers }) => (host === "cdn" ? [headers.range] : []));
  const gets = () => hub.requests.filter(({ method }) => method === "GET").length;

  it("fetches nothing twice, and works without the hub afterwards", async () => {
    vi.stubGlobal("caches", cacheStorage());
    await fetchAll();
    expect(gets()).toBeGreaterThan(0);
    hub.requests.length = 0;
    await fetchAll();
    expect(hub.requests.map(({ path }) => path)).toEqual([
      `/api/models/${REPOSITORY}/revision/main?blobs=true`,
    ]);
    hub.faults = [cut()];
    await fetchAll();
    expect(warnings).toEqual([expect.stringContaining("Using what was downloaded before")]);
  });

  it("takes the files of a new commit", async () => {
    vi.stubGlobal("caches", cacheStorage());
    await fetchAll();
    hub.push({ ...files, "config.json": new TextEncoder().encode("{}") });
    expect(new TextDecoder().decode(await contentOf(newCache(), "config.json"))).toBe("{}");
  });

  it("goes on where a connection broke", async () => {
    vi.stubGlobal("caches", cacheStorage());
    hub.faults = [faultAt("cdn weights", 2, cut(0.5)), faultAt("get config", 1, chunked(1))];
    await fetchAll();
    expect(ranges()).toEqual([undefined, "bytes=8500000-", "bytes=12750000-"]);
  });

  it("goes on where a page was left, in whole pieces", async () => {
    const storage = cacheStorage();
    vi.stubGlobal("caches", storage);
    const PIECE = 16 * 2 ** 20;
    const controller = new AbortController();
    const left = newCache({
      signal: controller.signal,
      onProgress: (event) => {
        if (event.status === "progress" && event.loaded > PIECE) controller.abort(new Error("left"));
      },
    });
    await expect(left.open("model.safetensors")).rejects.toThrow("left");
    hub.requests.length = 0;
    await fetchAll();
    expect(ranges()).toEqual([`bytes=${PIECE}-`]);
    // A server that sends all of it again is believed, and a piece that is gone is fetched again.
    const piece = [...storage.kept.keys()].find((url) => url.endsWith("?piece=0"))!;
    storage.kept.delete(piece.replace("?piece=0", ""));
    hub.faults = [
      faultAt("cdn weights", 1, (_, answer) => {
        Object.assign(answer, { status: 200, body: files["model.safetensors"] });
        return undefined;
      }),
    ];
    await fetchAll();
    storage.kept.delete(piece);
    await fetchAll();
    expect([...storage.kept.keys()].filter((url) => url.includes("?piece="))).toEqual([piece]);
  });

  it.each([
    ["no connection", cut(), "download_failed"],
    ["status 500", status(500), "download_failed"],
    ["a gated repository", status(403, { "x-error-code": "GatedRepo" }), "access_denied"],
    ["no repository", status(401, { "x-error-code": "RepoNotFound" }), "repository_not_found"],
  ] as const)("%s: nothing is kept, and the next call works", async (_, fault, code) => {
    const storage = cacheStorage();
    vi.stubGlobal("caches", storage);
    const cache = newCache();
    hub.faults = [fault];
    await expect(cache.open("config.json")).rejects.toEqual(florenceError(code, REPOSITORY));
    expect(storage.kept.size).toBe(0);
    hub.faults = [];
    await fetchAll(cache);
  });

  it("that has no room warns, and that is not there is done without", async () => {
    const isLarge = (response: Response) =>
      response.headers.get("content-type") === null && response.status === 200;
    vi.stubGlobal(
      "caches",
      cacheStorage((response) => (isLarge(response) ? new Error("QuotaExceededError") : undefined)),
    );
    await fetchAll();
    expect(warnings).toEqual(NAMES.map((name) => expect.stringMatching(`${name} .*QuotaExceededError`)));
    for (const none of [undefined, { open: async () => Promise.reject(new Error("SecurityError")) }]) {
      vi.stubGlobal("caches", none);
      await fetchAll();
      expect(warnings).toEqual([]);
    }
  });

  it("tells the hub's host alone the token", async () => {
    vi.stubGlobal("caches", cacheStorage());
    hub.access = { token: "hf_secret", isGated: false };
    await fetchAll(newCache({ token: "hf_secret" }));
    expect(hub.requests.some(({ host }) => host === "cdn")).toBe(true);
    for (const { host, headers } of hub.requests)
      expect(headers.authorization !== undefined).toBe(host === "hub");
  });

  it("is behind openModelFiles, with progress to the last byte", async () => {
    vi.stubGlobal("caches", cacheStorage());
    const events: DownloadEvent[] = [];
    const opened = await openModelFiles(REPOSITORY, [["config.json"], ["absent.json", "model.safetensors"]], {
      endpoint: hub.url,
      onProgress: (event) => events.push(event),
    });
    expect(await opened.json("config.json")).toEqual({ model_type: "florence2" });
    const sum = NAMES.reduce((total, name) => total + files[name].length, 0);
    expect(events.filter(({ status: word }) => word === "progress_total").at(-1)).toMatchObject({
      total: sum,
    });
    await (await opened.open("model.safetensors")).close();
    expect(events.at(-2)).toMatchObject({ status: "progress_total", loaded: sum, total: sum });
  });
});
