/** An answer with 200 objects: what a move of the pointer or of the slider changes in the page. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask, chromiumOrHint, hasChromium, openPage, ready, startBrowser } from "./support/browser.ts";
import { type StaticHost, startStaticHost } from "./support/static_host.ts";

const MANY = 200;
/** 20 columns and 10 rows of boxes in 192 × 192 pixels; confidences from 0 to 0.995. */
const OBJECTS = Array.from({ length: MANY }, (_, i) => {
  const [left, top] = [9.5 * (i % 20), 19 * Math.floor(i / 20)];
  return { label: `thing ${i}`, box: [left, top, left + 8, top + 15], score: i / MANY };
});

describe.skipIf(!hasChromium)(`200 objects (needs: ${chromiumOrHint})`, () => {
  let browser: Browser;
  let host: StaticHost;
  let page: Page;
  beforeAll(async () => {
    [browser, host] = await Promise.all([startBrowser(), startStaticHost()]);
    ({ page } = await openPage(browser, { serviceWorkers: "block" }));
    // A server that finds as many: the bundled model finds few.
    await page.route("**/version", (route) =>
      route.fulfill({
        json: { name: "florence2-server", model: "crowd", device: { kind: "cpu", name: "none" } },
      }),
    );
    const answer = {
      bboxes: OBJECTS.map(({ box }) => box),
      labels: OBJECTS.map(({ label }) => label),
      scores: OBJECTS.map(({ score }) => score),
    };
    const size = { width: 192, height: 192 };
    const result = { answer: { "<OD>": answer }, text: "", objects: OBJECTS, ...size, finish_reason: "stop" };
    const details = { cached_tokens: 0, image_tokens: 65 };
    const usage = { completion_tokens: 1000, prompt_tokens_details: details };
    await page.route("**/v1/florence2", (route) => route.fulfill({ json: { results: [result], usage } }));
    await page.goto(`${host.url}?server=${host.url}`);
    await ready(page);
    await ask(page, "<OD>");
  });
  afterAll(async () => {
    await browser?.close();
    await host?.close();
  });

  /** The elements whose attributes an action changes, by their kind. */
  async function changesOf(action: () => Promise<unknown>): Promise<Record<string, number>> {
    const observer = await page.evaluateHandle(() => {
      const seen: MutationRecord[] = [];
      const watch = new MutationObserver((records) => seen.push(...records));
      watch.observe(document.body, { subtree: true, attributes: true, childList: true });
      return { seen, watch };
    });
    await action();
    return observer.evaluate(({ seen, watch }) => {
      seen.push(...watch.takeRecords());
      watch.disconnect();
      const changed = { shapes: new Set(), rows: new Set(), labels: 0 };
      for (const { target, type, addedNodes, removedNodes } of seen) {
        const element = target as Element;
        if (element.matches(".shape")) changed.shapes.add(element);
        if (element.matches("#object-list li")) changed.rows.add(element);
        if (element.id === "labels" && type === "childList")
          changed.labels += addedNodes.length + removedNodes.length;
      }
      return { shapes: changed.shapes.size, rows: changed.rows.size, labels: changed.labels };
    });
  }

  it("are all drawn, and labels stay away from the picture", async () => {
    expect(await page.locator(".shape").count()).toBe(MANY);
    expect(await page.locator(".object").count()).toBe(MANY);
    expect(await page.locator(".label").count()).toBe(0);
  });

  it("pointing changes the object before and the one now, and their labels", async () => {
    await page.hover('.shape[data-index="7"] .line');
    expect(await page.textContent("#labels")).toBe("thing 7 0.04");
    const changes = await changesOf(() => page.hover('.shape[data-index="8"] .line'));
    expect(changes).toEqual({ shapes: 2, rows: 2, labels: 2 });
    expect(await page.textContent("#labels")).toBe("thing 8 0.04");
    expect(await page.locator(".shape.is-pointed").count()).toBe(1);
    // From the list, too.
    expect(await changesOf(() => page.focus(".object >> nth=3"))).toMatchObject({ shapes: 2 });
  });

  it("the slider changes what passes its limit and no other object", async () => {
    const slide = (value: number) =>
      page.$eval(
        "#confidence",
        (slider, to) => {
          (slider as HTMLInputElement).value = String(to);
          slider.dispatchEvent(new Event("input"));
        },
        value,
      );
    expect(await changesOf(() => slide(0.5))).toMatchObject({ shapes: 100, rows: 100 });
    expect(await changesOf(() => slide(0.51))).toMatchObject({ shapes: 2, rows: 2 });
    expect(await page.textContent("#confidence-shown")).toBe("0.51 · 98 of 200 places");
    expect(await changesOf(() => slide(0.51))).toMatchObject({ shapes: 0, rows: 0 });
  });
});
