/** The whole way from a picture to a saved file, with keys alone. */
import { readFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answered, chromiumOrHint, hasChromium, openPage, ready, startBrowser } from "./support/browser.ts";
import { type StaticHost, startStaticHost } from "./support/static_host.ts";

/** Stops of the Tab key between two places at most. */
const FAR = 60;

describe.skipIf(!hasChromium)(`the page by keyboard (needs: ${chromiumOrHint})`, () => {
  let browser: Browser;
  let host: StaticHost;
  let page: Page;
  beforeAll(async () => {
    [browser, host] = await Promise.all([startBrowser(), startStaticHost()]);
    ({ page } = await openPage(browser));
    await page.goto(host.url);
    await ready(page);
  });
  afterAll(async () => {
    await browser?.close();
    await host?.close();
  });

  const press = async (...keys: readonly string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const hasFocus = (selector: string) =>
    page.evaluate((one) => document.activeElement!.matches(one), selector);
  /** Presses Tab until an element has the focus; each stop on the way is visible. */
  async function tabTo(selector: string, key = "Tab"): Promise<void> {
    for (let stop = 0; stop < FAR; stop++) {
      await press(key);
      if (await hasFocus(selector)) return;
    }
    throw new Error(`${FAR} times ${key} did not reach ${selector}`);
  }

  it("opens a sample, chooses a task, runs, goes through the list, asks on, and saves a file", async () => {
    await tabTo(".skip");
    await tabTo('[data-sample="west.jpg"]');
    await press("Enter");
    await page.waitForSelector('#image[alt="west.jpg"]');

    await tabTo('input[name="task"]');
    // From Objects to its neighbour and back, as radio buttons do.
    await press("ArrowRight");
    expect(await hasFocus('[value="<DENSE_REGION_CAPTION>"]')).toBe(true);
    await press("ArrowLeft");
    expect(await hasFocus('[value="<OD>"]')).toBe(true);
    await tabTo("#run");
    await press("Enter");
    await answered(page);
    expect(await page.getAttribute("#answer", "data-state")).toBe("done");
    // The focus is where it was, and not lost with the button that cancels.
    expect(await hasFocus("#run")).toBe(true);

    await tabTo("#tab-answer");
    await tabTo("#confidence");
    await press("ArrowRight", "ArrowLeft");
    await tabTo(".object");
    await press("ArrowDown");
    expect(await page.getAttribute(".shape.is-pointed", "data-index")).toBe("1");
    await press("End", "Home");
    expect(await page.getAttribute(".shape.is-pointed", "data-index")).toBe("0");
    const name = await page.textContent(".object >> nth=0");
    await press("Enter");
    await tabTo(".object-actions button");
    await press("Enter");
    await answered(page);
    expect(await page.textContent("#answer-title")).toBe("Name");
    expect(name).toContain(await page.textContent("#answer-text"));

    // The region of that question, from its frame.
    await tabTo("#region", "Shift+Tab");
    const before = await page.inputValue("#region-left");
    await press("Alt+ArrowRight");
    expect(Number(await page.inputValue("#region-left"))).toBe(Number(before) + 1);
    await press("Control+Enter");
    await answered(page);

    await tabTo("#tab-answer");
    await press("ArrowRight");
    expect(await hasFocus("#tab-json")).toBe(true);
    await tabTo("#save-json");
    const [download] = await Promise.all([page.waitForEvent("download"), press("Enter")]);
    const saved = JSON.parse(readFileSync(await download.path(), "utf8"));
    expect(saved).toMatchObject({ image: "west.jpg", task: "<REGION_TO_CATEGORY>" });
    expect(saved.region[0]).toBe(Number(before) + 1);
  });

  it("chooses a model in the dialog, and comes back to where it was opened", async () => {
    await page.focus("#share");
    await tabTo("#model-chip", "Shift+Tab");
    await press("Enter");
    await page.waitForSelector("#model-dialog[open]");
    await tabTo('select[name="device"]');
    await press("Escape");
    await page.waitForSelector("#model-dialog:not([open])", { state: "attached" });
    expect(await hasFocus("#model-chip")).toBe(true);
  });
});
