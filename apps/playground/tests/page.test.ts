/** What visitors do with the page besides asking: pictures in, regions, files out, failures, accessibility. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { packageFile } from "../../../files/package_files.ts";
import {
  answered,
  ask,
  chromiumOrHint,
  hasChromium,
  openPage,
  ready,
  startBrowser,
} from "./support/browser.ts";
import { type StaticHost, startStaticHost } from "./support/static_host.ts";

const picture = packageFile("checkpoints/nano/heldout/000.jpg");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

describe.skipIf(!hasChromium)(`the page (needs: ${chromiumOrHint})`, () => {
  let browser: Browser;
  let host: StaticHost;
  let page: Page;
  let problems: string[];
  beforeAll(async () => {
    [browser, host] = await Promise.all([startBrowser(), startStaticHost()]);
  });
  beforeEach(async () => {
    ({ page, problems } = await openPage(browser, { permissions: ["camera"] }));
    await page.goto(host.url);
    await ready(page);
  });
  afterEach(async () => {
    await page.context().close();
    expect(problems).toEqual([]);
  });
  afterAll(async () => {
    await browser?.close();
    await host?.close();
  });

  const shownName = () => page.getAttribute("#image", "alt");
  const waitForImage = (name: string) => page.waitForSelector(`#image[alt="${name}"]`);
  /** A transfer of the page's own with a picture in it. */
  const transfer = async (name: string) => {
    const content = [...readFileSync(picture)];
    return page.evaluateHandle(
      ({ bytes, file }) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], file, { type: "image/jpeg" }));
        return data;
      },
      { bytes: content, file: name },
    );
  };

  it("takes pictures from files, drops, pastes, the camera, samples and addresses", async () => {
    expect(await shownName()).toBe("scene.png");
    await page.setInputFiles("#file", picture);
    await waitForImage("000.jpg");
    await page.dispatchEvent("body", "drop", { dataTransfer: await transfer("dropped.jpg") });
    await waitForImage("dropped.jpg");
    await page.evaluate(
      (clipboardData) =>
        document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true })),
      await transfer("pasted.jpg"),
    );
    await waitForImage("pasted.jpg");
    await page.click("#open-camera");
    await page.click("#camera-take:not([disabled])");
    await waitForImage("camera.png");
    await page.click('[data-sample="farm.jpg"]');
    await waitForImage("farm.jpg");
    await page.click("#open-address");
    await page.fill("#address", `${host.url}samples/west.jpg`);
    await page.keyboard.press("Enter");
    await waitForImage("west.jpg");
    // The bundled model says so where it cannot help.
    expect(await page.isVisible("#nano-hint")).toBe(true);
  });

  it("says what is wrong with a file, keeps the picture, and goes on", async () => {
    await page.setInputFiles("#file", {
      name: "notes.txt",
      mimeType: "text/plain",
      buffer: Buffer.from("x"),
    });
    await page.waitForSelector("#failure:not([hidden])");
    expect(await page.textContent("#failure")).toMatch(/cannot be opened.*notes\.txt is no image/s);
    expect(await shownName()).toBe("scene.png");
    expect((await ask(page, "<CAPTION>")).answer).toMatch(/elephant/);
    expect(await page.isVisible("#failure")).toBe(false);
  });

  it("draws a region by mouse, keys and numbers alike, and asks about a found box", async () => {
    await page.check('input[value="<REGION_TO_CATEGORY>"]', { force: true });
    const edges = () =>
      page.$$eval("#region-field input", (fields) =>
        fields.map((field) => Number((field as HTMLInputElement).value)),
      );
    expect(await edges()).toEqual([48, 48, 144, 144]);
    const surface = (await (await page.$("#surface"))!.boundingBox())!;
    const at = (x: number, y: number): [number, number] => [
      surface.x + (x / 192) * surface.width,
      surface.y + (y / 192) * surface.height,
    ];
    await page.mouse.move(...at(10, 20));
    await page.mouse.down();
    await page.mouse.move(...at(60, 70), { steps: 3 });
    await page.mouse.up();
    expect(await edges()).toEqual([10, 20, 60, 70]);
    // The frame has the focus: 4 pixels a step.
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Shift+ArrowDown");
    await page.keyboard.press("Alt+ArrowUp");
    expect(await edges()).toEqual([14, 19, 64, 73]);
    await page.fill("#region-right", "9999");
    await page.keyboard.press("Tab");
    expect(await edges()).toEqual([14, 19, 192, 73]);

    await ask(page, "<OD>");
    await page.click(".object >> nth=0");
    await page.click('.object-actions button:visible:has-text("Name")');
    await answered(page);
    expect(JSON.parse((await page.textContent("#json"))!)).toMatchObject({
      task: "<REGION_TO_CATEGORY>",
      answer: "elephant",
    });
  });

  it("links list and picture, and filters by confidence", async () => {
    const { objects } = await ask(page, "<OD>");
    await page.hover(".object >> nth=1");
    expect(await page.getAttribute(".shape.is-pointed", "data-index")).toBe("1");
    await page.hover('.shape[data-index="2"] .line');
    expect(
      await page.$$eval("#object-list li", (rows) => rows.findIndex((row) => row.matches(".is-pointed"))),
    ).toBe(2);
    const scores = objects.map(({ score }: { score: number }) => score).sort((a: number, b: number) => a - b);
    const least = ((scores[0] + scores[1]) / 2).toFixed(4);
    await page.$eval(
      "#confidence",
      (slider, value) => {
        (slider as HTMLInputElement).step = "any";
        (slider as HTMLInputElement).value = value;
        slider.dispatchEvent(new Event("input"));
      },
      least,
    );
    expect(await page.locator(".object:visible").count()).toBe(objects.length - 1);
    expect(await page.locator(".shape:not([hidden])").count()).toBe(objects.length - 1);
  });

  it("cancels, ignores double clicks, and wants a text where a task takes one", async () => {
    await page.check('input[value="<MORE_DETAILED_CAPTION>"]', { force: true });
    await page.evaluate(() => {
      for (let i = 0; i < 3; i++) document.querySelector<HTMLElement>("#run")!.click();
      document.querySelector<HTMLElement>("#cancel")!.click();
    });
    await page.waitForSelector('#answer[data-state="ended"]');
    expect(await page.textContent("#answer-status")).toBe("Cancelled.");
    await page.keyboard.press("Control+Enter");
    await page.waitForSelector('#answer[data-state="done"]');
    await page.check('input[value="<OPEN_VOCABULARY_DETECTION>"]', { force: true });
    await page.fill("#text", "");
    await page.click("#run");
    expect(await page.textContent("#text-problem")).toMatch(/what to look for/);
  });

  it("shows what a link says, also one that comes later, and makes such links", async () => {
    const shown = async () => [
      await shownName(),
      await page.getAttribute('input[name="task"]:checked', "value"),
      await page.$$eval("#region-field input", (fields) =>
        fields.map((field) => (field as HTMLInputElement).value).join(),
      ),
    ];
    const follow = (hash: string) =>
      page.evaluate((to) => {
        location.hash = to;
      }, hash);
    await follow("#task=REGION_TO_OCR&region=10,20,30,40&image=samples%2Fwest.jpg");
    await waitForImage("west.jpg");
    await page.waitForFunction(
      () => document.querySelector<HTMLInputElement>("#region-left")!.value === "10",
    );
    const asked = await shown();
    expect(asked).toEqual(["west.jpg", "<REGION_TO_OCR>", "10,20,30,40"]);
    // Neither a part of the page nor nonsense changes anything.
    await follow("#question");
    await follow("#task=<img src=x onerror=alert(1)>&region=1e9,0,0,0&image=javascript:alert(1)");
    expect(await shown()).toEqual(asked);
    await page.click("#share");
    await page.waitForSelector("#share-word:has-text('Link copied')");
    expect(new URL(page.url()).hash).toBe(
      "#task=REGION_TO_OCR&region=10%2C20%2C30%2C40&image=samples%2Fwest.jpg",
    );
    await page.goto("about:blank");
    await page.goBack();
    await ready(page);
    await page.waitForFunction(
      () => document.querySelector<HTMLInputElement>("#region-left")!.value === "10",
    );
    expect(await shown()).toEqual(asked);
  });

  it.each([
    ["light", 1280],
    ["dark", 1280],
    ["light", 320],
  ] as const)("has nothing that axe-core finds: %s, %i pixels wide", async (colorScheme, width) => {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: 800 });
    await ask(page, "<OD>");
    await page.evaluate(axe);
    const violations = () =>
      page.evaluate(async () => {
        // biome-ignore lint/suspicious/noExplicitAny: a script of axe-core's own.
        const { violations: found } = await (globalThis as any).axe.run();
        // biome-ignore lint/suspicious/noExplicitAny: the same.
        return found.map(({ id, nodes }: any) => `${id}: ${nodes.map(({ html }: any) => html).join(" ")}`);
      });
    expect(await violations()).toEqual([]);
    const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
    expect(overflow).toBe(0);
    await page.check('input[value="<REGION_TO_OCR>"]', { force: true });
    await page.click("#tab-code");
    expect(await violations()).toEqual([]);
    await page.click("#model-chip");
    await page.waitForSelector("#model-dialog[open]");
    expect(await violations()).toEqual([]);
  });

  it("works off line after the first visit", async () => {
    await page.evaluate("navigator.serviceWorker.ready.then(() => {})");
    // A function: the page forbids the text of code, which Playwright would evaluate at its second look.
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await page.context().setOffline(true);
    await page.reload();
    await ready(page);
    expect(await page.evaluate("crossOriginIsolated")).toBe(true);
    expect((await ask(page, "<CAPTION>")).answer).toMatch(/elephant/);
  });
});
