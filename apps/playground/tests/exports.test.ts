/** The files of an answer that the page saves are those that the library writes. */
import { readFileSync } from "node:fs";
import { Florence2 } from "florence2-webgpu";
import { labelsOf, writeCoco } from "florence2-webgpu/datasets";
import { drawAnswer, drawOnImage } from "florence2-webgpu/draw";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageFile } from "../../../files/package_files.ts";
import {
  type Asked,
  ask,
  chromiumOrHint,
  hasChromium,
  openPage,
  ready,
  startBrowser,
} from "./support/browser.ts";
import { type StaticHost, startStaticHost } from "./support/static_host.ts";

const SCENE = packageFile("examples/scene.png");
/** Of the page's drawing of the scene, which is 192 pixels wide and high. */
const SCALE = 4;
const QUESTIONS: readonly (readonly [string, Asked])[] = [
  ["<CAPTION>", {}],
  ["<OD>", {}],
  ["<OCR_WITH_REGION>", {}],
  ["<REGION_TO_SEGMENTATION>", { region: [6, 90, 60, 142] }],
];

describe.skipIf(!hasChromium)(`files of an answer (needs: ${chromiumOrHint})`, () => {
  let browser: Browser;
  let host: StaticHost;
  let model: Florence2;
  let page: Page;
  beforeAll(async () => {
    [browser, host, model] = await Promise.all([
      startBrowser(),
      startStaticHost(),
      Florence2.fromPretrained(packageFile("checkpoints/nano"), { device: "cpu" }),
    ]);
    ({ page } = await openPage(browser));
    await page.goto(host.url);
    await ready(page);
  });
  afterAll(async () => {
    await browser?.close();
    await host?.close();
    model?.dispose();
  });

  /** What a button saves, and the file's name. */
  async function saved(tab: string, button: string): Promise<{ name: string; content: Buffer }> {
    await page.click(`#tab-${tab}`);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(`#save-${button}`)]);
    return { name: download.suggestedFilename(), content: readFileSync(await download.path()) };
  }

  it.each(QUESTIONS)("%s: JSON, COCO, SVG and PNG", async (task, input) => {
    await ask(page, task, input);
    const json = await saved("json", "json");
    expect(json.name).toBe("scene.json");
    const { answer, text, objects, ...asked } = JSON.parse(json.content.toString());
    expect(asked).toEqual({ image: "scene.png", width: 192, height: 192, task, ...input });
    const result = await model.run(SCENE, task, input);
    // Threads add in another order: the last digits of confidences and edges differ.
    const rounded = (value: unknown) =>
      JSON.parse(JSON.stringify(value, (_, one) => (typeof one === "number" ? Number(one.toFixed(3)) : one)));
    expect(rounded({ answer, text, objects })).toEqual(
      rounded({ answer: result.answer, text: result.text, objects: result.objects }),
    );

    const labelled = {
      file: "scene.png",
      width: 192,
      height: 192,
      objects,
      ...(objects.length === 0 && { text }),
    };
    const coco = await saved("coco", "coco");
    expect(coco.name).toBe("scene.coco.json");
    expect(coco.content.toString()).toBe(
      [...writeCoco([labelled], { classes: labelsOf([labelled]) })].join(""),
    );

    const options = { scale: SCALE, scores: true, region: input.region };
    const svg = await saved("svg", "svg");
    expect(svg.name).toBe("scene.svg");
    expect(svg.content.toString()).toBe(drawAnswer(answer, { width: 192, height: 192 }, options));

    const png = await saved("svg", "png");
    expect(png.name).toBe("scene.answer.png");
    const pixels = async (bytes: Uint8Array) => {
      const { data, info } = await sharp(bytes)
        .flatten({ background: "#fff" })
        .raw()
        .toBuffer({ resolveWithObject: true });
      return { data, width: info.width, height: info.height };
    };
    const [shown, drawn] = [
      await pixels(png.content),
      await pixels(await drawOnImage(SCENE, answer, options)),
    ];
    expect([shown.width, shown.height]).toEqual([drawn.width, drawn.height]);
    // The browser enlarges the picture and smooths edges in its own way.
    const difference = drawn.data.reduce((sum, value, i) => sum + Math.abs(value - shown.data[i]!), 0);
    expect(difference / drawn.data.length).toBeLessThan(3);
  });
});
