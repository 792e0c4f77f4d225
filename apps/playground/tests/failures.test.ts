/** What the page says and offers when something is missing or breaks, each in a real browser. */
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { cut, filesIn, type HubServer, REPOSITORY, startHub } from "../../../tests/support/hub_server.ts";
import { ask, chromiumOrHint, hasChromium, openPage, ready, startBrowser } from "./support/browser.ts";
import { type ModelServer, startModelServer } from "./support/model_server.ts";
import { type StaticHost, startStaticHost } from "./support/static_host.ts";

const nano = fileURLToPath(new URL("../../../checkpoints/nano", import.meta.url));

describe.skipIf(!hasChromium)(`failures of the page (needs: ${chromiumOrHint})`, () => {
  let browser: Browser;
  let host: StaticHost;
  let page: Page;
  beforeAll(async () => {
    [browser, host] = await Promise.all([startBrowser(), startStaticHost()]);
  });
  beforeEach(async () => {
    // Without the service worker, which would answer in place of what is changed here.
    ({ page } = await openPage(browser, { serviceWorkers: "block" }));
  });
  afterEach(() => page.context().close());
  afterAll(async () => {
    await browser?.close();
    await host?.close();
  });

  const failure = async (code: string) => {
    await page.waitForSelector(`#failure[data-code="${code}"]:not([hidden])`);
    return page.textContent("#failure");
  };
  /** Runs a script in the worker before its own. */
  const beforeWorker = (script: string) =>
    page.route("**/assets/worker-*.js", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `${script};\n${await response.text()}` });
    });
  const remedy = (name: string) => page.click(`#failure button:has-text("${name}")`);

  it("no WebGPU: the page says where it is, and computes on the CPU", async () => {
    await beforeWorker(`Object.defineProperty(navigator, "gpu", { value: undefined })`);
    await page.goto(`${host.url}?device=gpu`);
    expect(await failure("gpu_unavailable")).toMatch(/no GPU.*Chrome and Edge.*Safari/s);
    expect(await page.textContent("#model-chip")).toMatch(/No model/);
    await remedy("Compute on the CPU");
    await ready(page);
    expect((await ask(page, "<CAPTION>")).answer).toMatch(/elephant/);
  });

  it("a lost GPU: the model loads again", async () => {
    await beforeWorker(`const request = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (wanted) {
        return (globalThis.testDevice = await request.call(this, wanted));
      }`);
    await page.goto(`${host.url}?device=gpu`);
    await ready(page);
    await page.workers()[0]!.evaluate("testDevice.destroy()");
    await page.click("#run");
    expect(await failure("gpu_lost")).toMatch(/GPU was lost/);
    await remedy("Compute on the CPU");
    await ready(page);
    expect(await page.textContent("#model-chip")).toMatch(/CPU/);
  });

  it("too little memory: fewer bits are offered", async () => {
    await beforeWorker(`WebAssembly.Memory.prototype.grow = () => { throw new RangeError("no memory") };
      WebAssembly.Memory = class { constructor() { throw new RangeError("no memory") } }`);
    await page.goto(`${host.url}?device=cpu`);
    expect(await failure("cpu_out_of_memory")).toMatch(/too little memory.*8 bits/s);
    expect(await page.isVisible('#failure button:has-text("8-bit weights")')).toBe(true);
  });

  describe("with a hub", () => {
    let hub: HubServer;
    beforeAll(async () => {
      hub = await startHub(await filesIn(nano));
    });
    beforeEach(() => {
      hub.faults = [];
    });
    afterAll(() => hub.close());
    const address = () => `${host.url}?model=${REPOSITORY}&endpoint=${hub.url}&device=cpu`;

    it("downloads with progress, keeps, shows and deletes a model", async () => {
      await page.goto(address());
      await ready(page);
      expect(await page.textContent("#facts")).toMatch(/florence\/tiny · 7\.8 MB of weights/);
      // The next visit has it without the hub.
      hub.faults = [cut()];
      await page.goto(host.url);
      await ready(page);
      expect(await page.textContent("#model-name")).toBe(REPOSITORY);
      await page.click("#model-chip");
      await page.waitForSelector(".cached");
      expect(await page.textContent(".cached")).toMatch(/On this device, 8\.\d MB/);
      await page.click(`[aria-label="Delete ${REPOSITORY}"]`);
      await page.waitForSelector(".cached", { state: "detached" });
    });

    it("cancels a download", async () => {
      hub.faults = [() => new Promise(() => {})];
      await page.goto(address());
      await page.click("#opening-cancel:visible");
      await page.waitForSelector("#opening[hidden]", { state: "attached" });
      expect(await page.isVisible("#failure")).toBe(false);
    });

    it("a hub that cannot be reached: the bundled model is offered", async () => {
      hub.faults = [cut()];
      await page.goto(address());
      expect(await failure("download_failed")).toMatch(/could not be downloaded.*Try again.*CORS/s);
      await remedy("Use the bundled model");
      await ready(page);
    });

    it("no network: the page says that the model is not here yet", async () => {
      await page.goto(host.url);
      await ready(page);
      hub.faults = [cut()];
      await page.evaluate(`Object.defineProperty(navigator, "onLine", { get: () => false })`);
      await page.click("#model-chip");
      await page.fill("#other-model", REPOSITORY);
      await page.click("summary");
      await page.fill('[name="endpoint"]', hub.url);
      await page.click("#model-open");
      expect(await failure("download_failed")).toMatch(/off line.*downloaded once/s);
      // What was there goes on.
      expect(await page.isVisible("#run:not([disabled])")).toBe(true);
    });
  });

  describe("with a server", () => {
    let server: ModelServer;
    beforeAll(async () => {
      server = await startModelServer({ apiKey: ["right-key"] });
    });
    afterAll(() => server.stop());

    it("a key: asked for, wrong, right, and kept nowhere", async () => {
      await page.goto(server.url);
      expect(await failure("invalid_api_key")).toMatch(/wants a key/);
      await remedy("Choose a model");
      await page.fill("#server-key", "wrong-key");
      await page.click("#model-open");
      await page.waitForSelector('#failure:has-text("not one of this server")');
      await remedy("Choose a model");
      await page.fill("#server-key", "right-key");
      await page.click("#model-open");
      await ready(page);
      expect((await ask(page, "<CAPTION>")).answer).toMatch(/elephant/);
      expect(await page.textContent("#code-curl")).toContain("$FLORENCE2_API_KEY");
      const kept = await page.evaluate(
        "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href])",
      );
      expect(kept).not.toContain("right-key");
    });

    it("a server that went away: compute here", async () => {
      const gone = await startModelServer();
      await page.goto(gone.url);
      await ready(page);
      await gone.stop();
      await page.click("#run");
      expect(await failure("server_unreachable")).toMatch(/does not answer/);
    });
  });
});
