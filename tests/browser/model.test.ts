/**
 * The page examples/browser.html as `npm run page` serves it, in a real browser on software WebGPU. Skipped where
 * there is no Chromium (Debian: apt-get install chromium), as on the machines that run CI.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Florence2, loadImage } from "../../index.ts";
import { chromium, Page } from "../support/chromium.ts";
import { gpuMissing } from "../support/gpu.ts";
import { loaded, type Served, serve } from "../support/serve.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const TASKS = ["<CAPTION>", "<OD>", "<OCR>"] as const;
const PICTURES = ["examples/scene.png", "checkpoints/nano/heldout/000.jpg"];

describe.skipIf(!chromium)(`in a browser (needs: ${chromium ?? "apt-get install chromium"})`, () => {
  let served: Served;
  let page: Page;
  beforeAll(async () => {
    served = await serve();
    // Chromium has a software adapter here, which only "gpu" takes.
    page = await Page.open(`${served.page}?device=gpu`);
    await loaded(page);
  });
  afterAll(async () => {
    await page?.close();
    served?.stop();
  });

  it("the page loads the bundled checkpoint onto WebGPU", async () => {
    expect(await page.evaluate("document.querySelector('#status').textContent")).toMatch(/^Ready on /);
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

  it("what the page shows and draws has the tokens that Node gives", async () => {
    const model = await Florence2.fromPretrained(join(root, "checkpoints/nano"), {
      device: gpuMissing ? "cpu" : "gpu",
    });
    try {
      await page.evaluate(`{
        const run = florence2.run.bind(florence2);
        florence2.run = async (...question) => (globalThis.asked = await run(...question));
      }`);
      for (const task of TASKS) {
        await page.evaluate(`document.querySelector("#task").value = "${task}"`);
        await page.evaluate(`document.querySelector("#run").click()`);
        await page.until(`!document.querySelector("#run").disabled`);
        const expected = await model.run(join(root, "examples/scene.png"), task);
        expect(await page.evaluate("asked.tokens"), task).toEqual(expected.tokens);
        const shown = await page.evaluate<string>(`document.querySelector("#answer").textContent`);
        const labels = typeof expected.answer === "string" ? [] : expected.answer.labels;
        if (labels.length === 0) expect(JSON.parse(shown), task).toBe(expected.answer);
        else expect(JSON.parse(shown).labels, task).toEqual(labels);
        const drawn = await page.evaluate<string[]>(
          `[...document.querySelectorAll("figure svg title")].map(({ textContent }) => textContent)`,
        );
        expect(drawn.length, task).toBe(Math.max(1, labels.length));
      }
    } finally {
      model.dispose();
    }
  });
});
