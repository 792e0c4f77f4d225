/** All fifteen tasks through the page, here and by a server: its answers are the library's. */
import { Florence2, tasks } from "florence2-webgpu";
import { marksOf } from "florence2-webgpu/draw";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageFile } from "../../../files/package_files.ts";
import {
  type Asked,
  ask,
  chromiumOrHint,
  hasChromium,
  openPage,
  ready,
  shapes,
  startBrowser,
} from "./support/browser.ts";
import { type ModelServer, startModelServer } from "./support/model_server.ts";
import { type StaticHost, startStaticHost } from "./support/static_host.ts";

const scene = packageFile("examples/scene.png");
const REGION = [6, 90, 60, 142] as const;
const INPUTS: Readonly<Record<string, Asked>> = {
  "<CAPTION_TO_PHRASE_GROUNDING>": { text: "An elephant and a boat." },
  "<OPEN_VOCABULARY_DETECTION>": { text: "a boat, a book" },
  "<REFERRING_EXPRESSION_SEGMENTATION>": { text: "a boat" },
};

describe.skipIf(!hasChromium)(`the page's tasks (needs: ${chromiumOrHint})`, () => {
  let browser: Browser;
  let host: StaticHost;
  let server: ModelServer;
  let model: Florence2;
  beforeAll(async () => {
    [browser, host, server, model] = await Promise.all([
      startBrowser(),
      startStaticHost(),
      startModelServer(),
      Florence2.fromPretrained(packageFile("checkpoints/nano"), { device: "cpu" }),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    await host?.close();
    await server?.stop();
    model?.dispose();
  });

  const inputOf = ({ token, input }: (typeof tasks)[number]): Asked =>
    input === "region" ? { region: REGION } : (INPUTS[token] ?? {});

  async function expectAnswers(page: Page, asked: readonly (typeof tasks)[number][]): Promise<void> {
    for (const task of asked) {
      const input = inputOf(task);
      const shown = await ask(page, task.token, input);
      const { text, region } = input;
      const options = { region, text: text?.includes(",") ? text.split(", ") : text };
      const result = await model.run(scene, task.token as string, options);
      const rounded = (value: unknown) =>
        JSON.parse(
          JSON.stringify(value, (_, one) => (typeof one === "number" ? Number(one.toFixed(3)) : one)),
        );
      expect(rounded(shown.answer), task.token).toEqual(rounded(result.answer));
      expect(shown.text, task.token).toBe(result.text);
      const drawn = (await shapes(page)).map((outlines) => rounded(outlines));
      expect(drawn, task.token).toEqual(rounded(marksOf(result.objects).map(({ outlines }) => outlines)));
    }
  }

  it("are answered on the CPU of this browser as in Node", async () => {
    const { page, problems } = await openPage(browser);
    await page.goto(host.url);
    await ready(page);
    expect(await page.textContent("#facts")).toMatch(/drawn scenes only.*7\.8 MB.*CPU: WebAssembly/);
    await expectAnswers(page, tasks);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it("are answered by a server as in Node", async () => {
    const { page, problems } = await openPage(browser);
    await page.goto(server.url);
    await ready(page);
    expect(await page.textContent("#model-chip")).toMatch(/florence2-nano.*server, CPU/s);
    // The server says how long it looked; at a known image it does not look again.
    await ask(page, "<CAPTION>");
    expect(await page.textContent("#answer-status")).toMatch(
      /^image .* · answer .* · way and queue .* tokens$/,
    );
    await ask(page, "<OCR>");
    expect(await page.textContent("#answer-status")).toMatch(/^answer .* · way and queue .*/);
    await expectAnswers(page, tasks);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it("are answered on WebGPU", async () => {
    const { page, problems } = await openPage(browser);
    await page.goto(`${host.url}?device=gpu`);
    await ready(page);
    expect(await page.textContent("#model-chip")).toMatch(/nano.*this browser, GPU/s);
    await expectAnswers(
      page,
      tasks.filter(({ token }) => token === "<OD>"),
    );
    expect(problems).toEqual([]);
    await page.context().close();
  });
});
