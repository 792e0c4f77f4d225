/** The CPU engine in a real browser that has no WebGPU: with threads, and in a page that may not share memory. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Florence2 } from "../../index.ts";
import { chromium, Page } from "../support/chromium.ts";
import { type Served, serve } from "../support/serve.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const TASKS = ["<CAPTION>", "<OD>", "<OCR>"] as const;

describe.skipIf(!chromium)(
  `a browser without WebGPU (needs: ${chromium ?? "apt-get install chromium"})`,
  () => {
    let served: Served;
    let page: Page;
    const expected = new Map<string, readonly number[]>();
    beforeAll(async () => {
      const model = await Florence2.fromPretrained(join(root, "checkpoints/nano"), { device: "cpu" });
      for (const task of TASKS)
        expected.set(task, (await model.run(join(root, "examples/scene.png"), task)).tokens);
      model.dispose();
      served = await serve();
      page = await Page.open(served.page, { webgpu: false });
      await page.until(`document.title !== ""`);
    });
    afterAll(async () => {
      await page?.close();
      await served?.close();
    });

    /** The tokens of every task, and the device. */
    const ask = () =>
      page.evaluate<{ tokens: number[][]; device: string }>(`(async () => {
      const { Florence2 } = await import("/dist/florence2.browser.js");
      const model = await Florence2.fromPretrained(new URL("/checkpoints/nano/", location.href));
      const tokens = [];
      for (const task of ${JSON.stringify(TASKS)})
        tokens.push((await model.run(new URL("/examples/scene.png", location.href), task)).tokens);
      model.dispose();
      return { tokens, device: model.device.name };
    })()`);

    it("answers as Node does, with threads where the page is isolated", async () => {
      expect(await page.evaluate("crossOriginIsolated")).toBe(true);
      const processors = await page.evaluate<number>("navigator.hardwareConcurrency");
      const { tokens, device } = await ask();
      const threads = processors === 1 ? "1 thread" : `${Math.min(processors, 16)} threads`;
      expect(device).toBe(`CPU: WebAssembly with relaxed SIMD, ${threads}`);
      expect(tokens).toEqual(TASKS.map((task) => expected.get(task)));
    });

    it("answers as Node does on the page's own thread where workers are forbidden", async () => {
      const forbid = `throw new DOMException("no workers", "SecurityError")`;
      await page.evaluate(`void (globalThis.Kept = Worker, globalThis.Worker = function () { ${forbid}; })`);
      const { tokens, device } = await ask();
      expect(device).toMatch(/relaxed SIMD, 1 thread$/);
      expect(tokens).toEqual(TASKS.map((task) => expected.get(task)));
      await page.evaluate("void (globalThis.Worker = Kept)");
    });

    it("answers as Node does on the page's own thread where memory cannot be shared", async () => {
      await page.evaluate(`void Object.defineProperty(globalThis, "crossOriginIsolated", { value: false })`);
      const { tokens, device } = await ask();
      expect(device).toMatch(/relaxed SIMD, 1 thread$/);
      expect(tokens).toEqual(TASKS.map((task) => expected.get(task)));
    });
  },
);
