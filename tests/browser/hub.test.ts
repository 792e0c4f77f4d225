/**
 * A model from a hub in a real browser, kept in its Cache API. Skipped where there is no Chromium.
 * tests/files/hub/browser_cache.test.ts tries more, without a browser.
 */
import { readFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { HubOptions, ProgressEvent } from "../../index.ts";
import { chromium, Page } from "../support/chromium.ts";
import {
  cut,
  type Fault,
  faultAt,
  filesIn,
  type HubServer,
  REPOSITORY,
  startHub,
  status,
} from "../support/hub_server.ts";
import { type Served, serve } from "../support/serve.ts";

const flavours = fileURLToPath(new URL("../fixtures/flavours", import.meta.url));

describe.skipIf(!chromium)(`a hub in a browser (needs: ${chromium ?? "apt-get install chromium"})`, () => {
  let files: Record<string, Uint8Array>;
  let hub: HubServer;
  let served: Served;
  let page: Page;
  beforeAll(async () => {
    files = await filesIn(`${flavours}/transformers`);
    hub = await startHub(files);
    served = await serve();
    page = await Page.open(served.page);
    await page.until(`document.title !== ""`);
  });
  beforeEach(async () => {
    hub.push(files);
    [hub.faults, hub.access, hub.requests.length] = [[], undefined, 0];
  });
  afterAll(async () => {
    await page?.close();
    await served?.close();
    await hub?.close();
  });

  const ranges = () =>
    hub.requests.flatMap(({ host, method, headers }) =>
      host === "cdn" && method === "GET" ? [headers.range] : [],
    );
  /** Loads in the page, on the CPU; the events of loading, and the code and message of its failure. */
  const load = (options: HubOptions = {}) =>
    page.evaluate<{ events: ProgressEvent[]; code?: string; message?: string }>(`(async () => {
      const { Florence2 } = await import("/dist/florence2.browser.js");
      const events = (globalThis.events = []);
      const options = { ...${JSON.stringify({ endpoint: hub.url, device: "cpu", ...options })}, onProgress: (event) => events.push(event) };
      try {
        (await Florence2.fromPretrained("${REPOSITORY}", options)).dispose();
        return { events };
      } catch ({ code, message }) {
        return { events, code, message };
      }
    })()`);
  const forget = () => page.evaluate(`caches.delete("florence2-webgpu")`);

  it.each([
    ["takes a model from it", false],
    ["does without it afterwards", true],
  ])("the library %s", async (_, isDown) => {
    if (isDown) hub.faults = [cut()];
    const expected = JSON.parse(await readFile(`${flavours}/expected.json`, "utf8"));
    const tokens = await page.evaluate(`(async () => {
      const { Florence2 } = await import("/dist/florence2.browser.js");
      const model = await Florence2.fromPretrained("${REPOSITORY}", { endpoint: "${hub.url}", device: "cpu" });
      const picture = new URL("/tests/fixtures/pictures/${expected.picture}", location.href);
      const { tokens } = await model.run(picture, "<CAPTION>", { maxNewTokens: ${expected.max_new_tokens} });
      model.dispose();
      return tokens;
    })()`);
    expect(tokens).toEqual(expected.prompts[0].tokens);
    expect(ranges()).toEqual(isDown ? [] : [undefined]);
  });

  it("tells which models are kept, and deletes them", async () => {
    await forget();
    await load();
    const kept = () =>
      page.evaluate<object[]>(
        `import("/dist/florence2.browser.js").then(({ cachedModels }) => cachedModels())`,
      );
    const names = ["config.json", "tokenizer.json", "generation_config.json", "preprocessor_config.json"];
    const bytes = [...names, "tokenizer_config.json", "model.safetensors"].reduce(
      (sum, name) => sum + files[name]!.length,
      0,
    );
    expect(await kept()).toEqual([{ id: REPOSITORY, bytes, unfinished: 0 }]);
    await page.evaluate(
      `import("/dist/florence2.browser.js").then((library) => library.deleteCachedModel("${REPOSITORY}"))`,
    );
    expect(await kept()).toEqual([]);
  });

  it("tells progress to the last byte", async () => {
    await forget();
    const { events } = await load();
    const sum = ["config.json", "tokenizer.json"]
      .concat(["generation_config.json", "preprocessor_config.json", "tokenizer_config.json"])
      .concat("model.safetensors")
      .reduce((bytes, name) => bytes + files[name]!.length, 0);
    const totals = events.filter((event) => event.status === "progress_total");
    expect(totals.at(-1)).toMatchObject({ loaded: sum, total: sum, progress: 100 });
    expect(events.filter((event) => event.status === "load").at(-1)).toMatchObject({ progress: 100 });
    expect(events.at(-1)).toMatchObject({ status: "ready" });
  });

  it("goes on where a connection broke, and begins again where a page was left before a piece was whole", async () => {
    const half = files["model.safetensors"]!.length >> 1;
    /** Half of the weights, and nothing more once the page has them. */
    const halfOf: (end: (response: ServerResponse) => void) => Fault = (end) =>
      faultAt("cdn weights", 1, async (_, { headers }, response) => {
        response.writeHead(200, { ...headers, "content-length": files["model.safetensors"]!.length });
        response.write(files["model.safetensors"]!.subarray(0, half));
        await page.until(`events.some(({ status, loaded }) => status === "progress" && loaded === ${half})`);
        end(response);
        return false;
      });
    await forget();
    hub.faults = [halfOf((response) => response.destroy())];
    expect((await load()).code).toBeUndefined();
    expect(ranges()).toEqual([undefined, `bytes=${half}-`]);

    await forget();
    hub.requests.length = 0;
    hub.faults = [halfOf(() => page.goTo(served.page))];
    await expect(load()).rejects.toThrow();
    expect((await load()).code).toBeUndefined();
    expect(ranges()).toEqual([undefined, undefined]);
  });

  it.each([
    ["no hub", cut(), "download_failed", /network/],
    ["a broken hub", status(500), "download_failed", /status 500/],
    ["a gated repository", status(403, { "x-error-code": "GatedRepo" }), "access_denied", /accept its terms/],
  ] as const)("%s: a typed error, and the next call works", async (_, fault, code, words) => {
    await forget();
    hub.faults = [fault];
    expect(await load()).toMatchObject({ code, message: expect.stringMatching(words) });
    hub.faults = [];
    expect((await load()).code).toBeUndefined();
  });

  it("tells the hub alone the token", async () => {
    await forget();
    hub.access = { token: "hf_secret", isGated: false };
    expect((await load({ token: "hf_other" })).code).toBe("repository_not_found");
    expect((await load({ token: "hf_secret" })).code).toBeUndefined();
    expect(ranges()).toEqual([undefined]);
    for (const { host, headers } of hub.requests)
      expect(headers.authorization !== undefined).toBe(host === "hub");
  });
});
