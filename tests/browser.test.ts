/**
 * The page examples/browser.html with the compiled library in a real browser on software WebGPU. Skipped where
 * there is no Chromium (Debian: apt-get install chromium), as on the machines that run CI, or no build.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Florence2, loadImage } from "../index.ts";
import { chromium, Page } from "./support/chromium.ts";
import { gpuMissing } from "./support/gpu.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const TYPES: Readonly<Record<string, string>> = { ".html": "text/html", ".js": "text/javascript" };
const TASKS = ["<CAPTION>", "<OD>", "<OCR>"] as const;
const PICTURES = ["examples/scene.png", "checkpoints/nano/heldout/000.jpg"];
const missing = chromium
  ? existsSync(join(root, "dist/.built")) || "npm run build"
  : "apt-get install chromium";

describe.skipIf(missing !== true)(`in a browser (needs: ${missing === true ? chromium : missing})`, () => {
  let server: Server;
  let page: Page;
  beforeAll(async () => {
    server = createServer(async (request, response) => {
      const path = join(root, new URL(request.url!, "http://localhost").pathname);
      const content = await readFile(path).catch(() => undefined);
      response.writeHead(content ? 200 : 404, {
        "content-type": TYPES[extname(path)] ?? "application/octet-stream",
      });
      response.end(content);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    page = await Page.open(
      `http://127.0.0.1:${(server.address() as AddressInfo).port}/examples/browser.html`,
    );
    await page.until(
      `!["", "Loading"].includes(document.querySelector("#status")?.textContent.split(" ")[0] ?? "")`,
    );
  });
  afterAll(async () => {
    await page?.close();
    server?.close();
  });

  it("the page loads the bundled checkpoint onto WebGPU", async () => {
    expect(await page.evaluate("document.querySelector('#status').textContent")).toMatch(/^Ready on /);
    expect(await page.evaluate("florence2.device.kind")).toBe("gpu");
  });

  it.each(PICTURES)("%s is decoded to the pixels that Node decodes", async (picture) => {
    const inBrowser = await page.evaluate<{ data: string; width: number; height: number }>(`(async () => {
      const { loadImage } = await import("/dist/index.js");
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
