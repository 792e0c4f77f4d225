/**
 * The library in a real browser on software WebGPU. Skipped where there is no Chromium (Debian: apt-get install
 * chromium), as on the machines that run CI.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Florence2, loadImage } from "../../index.ts";
import { chromium, Page } from "../support/chromium.ts";
import { type Served, serve } from "../support/serve.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const TASKS = ["<CAPTION>", "<OD>", "<OCR>"] as const;
const PICTURES = ["examples/scene.png", "checkpoints/nano/heldout/000.jpg"];

describe.skipIf(!chromium)(`in a browser (needs: ${chromium ?? "apt-get install chromium"})`, () => {
  let served: Served;
  let page: Page;
  beforeAll(async () => {
    served = await serve();
    page = await Page.open(served.page);
    await page.until(`document.title !== ""`);
    await page.evaluate(`(async () => {
      const { Florence2 } = await import("/dist/florence2.browser.js");
      // Chromium has a software adapter here, which only "gpu" takes.
      const checkpoint = new URL("/checkpoints/nano/", location.href);
      globalThis.florence2 = await Florence2.fromPretrained(checkpoint, { device: "gpu" });
    })()`);
  });
  afterAll(async () => {
    await page?.close();
    await served?.close();
  });

  it("the bundled checkpoint loads onto WebGPU", async () => {
    expect(await page.evaluate("florence2.device.kind")).toBe("gpu");
  });

  it.each(PICTURES)("%s is decoded to the pixels that Node decodes", async (picture) => {
    const inBrowser = await page.evaluate<{ data: string; width: number; height: number }>(`(async () => {
      const { loadImage } = await import("/dist/florence2.browser.js");
      const { data, width, height } = await loadImage(new URL("/${picture}", location.href));
      return { data: Array.from(data, (value) => String.fromCharCode(value)).join(""), width, height };
    })()`);
    const inNode = await loadImage(join(root, picture));
    expect([inBrowser.width, inBrowser.height]).toEqual([inNode.width, inNode.height]);
    expect(Buffer.from(inBrowser.data, "latin1").equals(inNode.data)).toBe(true);
  });

  it("an image element has the tokens that Node gives", async () => {
    const model = await Florence2.fromPretrained(join(root, "checkpoints/nano"), { device: "cpu" });
    try {
      await page.evaluate(`(async () => {
        const image = new Image();
        image.src = "/examples/scene.png";
        await image.decode();
        globalThis.encoded = await florence2.encodeImage(image);
      })()`);
      for (const task of TASKS) {
        const tokens = await page.evaluate(`florence2.run(encoded, "${task}").then(({ tokens }) => tokens)`);
        const expected = await model.run(join(root, "examples/scene.png"), task);
        expect(tokens, task).toEqual(expected.tokens);
      }
    } finally {
      model.dispose();
    }
  });
});
