/** A download that a page was left in: the next visit tells of it and goes on where it was. */
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  faultAt,
  filesIn,
  type HubServer,
  hang,
  REPOSITORY,
  startHub,
} from "../../../tests/support/hub_server.ts";
import { chromiumOrHint, hasChromium, openPage, ready, startBrowser } from "./support/browser.ts";
import { type StaticHost, startStaticHost } from "./support/static_host.ts";

const nano = fileURLToPath(new URL("../../../checkpoints/nano", import.meta.url));
/** A browser keeps pieces of this many bytes. */
const PIECE = 16 * 2 ** 20;

/** A safetensors file with a comment that makes it as large as several pieces. */
function enlarged(file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  const offset = file.length - 8 - length;
  // A tensor that no network has.
  header.padding = { dtype: "U8", shape: [2 * PIECE], data_offsets: [offset, offset + 2 * PIECE] };
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, file.subarray(8 + length), new Uint8Array(2 * PIECE)]);
}

describe.skipIf(!hasChromium)(`downloads (needs: ${chromiumOrHint})`, () => {
  let browser: Browser;
  let host: StaticHost;
  let hub: HubServer;
  let page: Page;
  beforeAll(async () => {
    const files = await filesIn(nano);
    const weights = enlarged(files["model.safetensors"]!);
    [browser, host, hub] = await Promise.all([
      startBrowser(),
      startStaticHost(),
      startHub({ ...files, "model.safetensors": weights }),
    ]);
  });
  beforeEach(async () => {
    hub.requests.length = 0;
    // The connection stands still after half of the weights, more than a piece.
    hub.faults = [faultAt("cdn weights", 1, hang(0.6))];
    ({ page } = await openPage(browser, { serviceWorkers: "block" }));
    await page.goto(host.url);
    await ready(page);
  });
  afterEach(() => page.context().close());
  afterAll(async () => {
    await browser?.close();
    await host?.close();
    await hub?.close();
  });

  const ranges = () =>
    hub.requests.flatMap(({ host: from, method, headers }) =>
      from === "cdn" && method === "GET" ? [headers.range] : [],
    );
  /** Begins the download by the dialog, and waits until its first piece is kept. */
  async function begin(): Promise<void> {
    await page.click("#model-chip");
    await page.fill("#other-model", REPOSITORY);
    await page.click("summary");
    await page.fill('[name="endpoint"]', hub.url);
    await page.click("#model-open");
    const isKept = () =>
      page.evaluate(async () => {
        const cache = await caches.open("florence2-webgpu");
        return (await cache.keys()).some(({ url }) => url.includes("piece=0"));
      });
    await expect.poll(isKept, { timeout: 600_000 }).toBe(true);
  }

  it("that a reload broke are offered, and go on where they were", async () => {
    await begin();
    await page.reload();
    await ready(page);
    // The bundled model answers meanwhile.
    expect(await page.textContent("#model-name")).toBe("nano");
    await page.waitForSelector("#resume:not([hidden])");
    expect(await page.textContent("#resume-text")).toMatch(
      new RegExp(`The download of ${REPOSITORY} was left unfinished, with 17 MB here\\.`),
    );
    const percents = await page.evaluateHandle(() => {
      const shown: number[] = [];
      const meter = document.querySelector<HTMLProgressElement>("#opening-meter")!;
      new MutationObserver(() => shown.push(meter.value)).observe(meter, { attributes: true });
      return shown;
    });
    await page.click("#resume-go");
    await page.waitForFunction(
      (name) => document.querySelector("#model-name")!.textContent === name,
      REPOSITORY,
    );
    expect(ranges()).toEqual([undefined, `bytes=${PIECE}-`]);
    expect((await percents.jsonValue()).length).toBeGreaterThan(1);
    // Nothing is left to offer.
    await page.reload();
    await ready(page);
    expect(await page.isVisible("#resume")).toBe(false);
    expect(await page.textContent("#model-name")).toBe(REPOSITORY);
  });

  it("that are cancelled, or not wanted any more, are not offered again; the dialog has their rest", async () => {
    await begin();
    await page.reload();
    await page.click("#resume-drop:visible");
    await page.reload();
    await ready(page);
    expect(await page.isVisible("#resume")).toBe(false);
    await page.click("#model-chip");
    await page.waitForSelector(".cached");
    expect(await page.textContent(".cached")).toBe("17 MB downloaded, goes on there");
  });
});
