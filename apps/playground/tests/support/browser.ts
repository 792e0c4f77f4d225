import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";
import { chromium as command } from "../../../../tests/support/chromium.ts";

/** Why suites are skipped, or the browser that they use. */
export const chromiumOrHint = command ?? "apt-get install chromium";
export const hasChromium = command !== undefined;
/** Playwright wants the path of a program. */
const pathOf = (program: string) =>
  (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));

const SOFTWARE_WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const FAKE_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
/** Chromium refuses to run as root with its sandbox. */
const SANDBOX = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
/** Milliseconds that a step may take on a busy machine. */
const PATIENCE = 600_000;

/** Chromium with software WebGPU, which the page takes only where it is told to, and a camera that is none. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: pathOf(command!),
    args: [...SOFTWARE_WEBGPU, ...FAKE_CAMERA, ...SANDBOX],
    timeout: PATIENCE,
  });
}

/** A page of a profile of its own. What goes wrong in it unnoticed is in `problems`. */
export async function openPage(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; context: BrowserContext; problems: string[] }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    // Optional files of a model are asked for, and may be absent.
    if (message.type() === "error" && !/status of 404/.test(message.text())) problems.push(message.text());
  });
  return { page, context, problems };
}

/** Waits until the page can be asked. */
export const ready = (page: Page) => page.waitForSelector("#run:not([disabled])");

export interface Asked {
  readonly text?: string;
  readonly region?: readonly [number, number, number, number];
}

/** Chooses a task, fills its field, runs it and waits; the JSON that the page shows. */
// biome-ignore lint/suspicious/noExplicitAny: answers have the shapes of their tasks.
export async function ask(page: Page, task: string, { text, region }: Asked = {}): Promise<any> {
  await page.check(`input[value="${task}"]`, { force: true });
  if (text !== undefined) await page.fill("#text", text);
  for (const [i, edge] of ["left", "top", "right", "bottom"].entries())
    if (region) await page.fill(`#region-${edge}`, String(region[i]));
  await page.click("#run");
  await answered(page);
  return JSON.parse((await page.textContent("#json"))!);
}

/** Waits until a question is answered, or has failed. */
export async function answered(page: Page): Promise<void> {
  await page.waitForSelector("#run:not([hidden])");
  await page.waitForSelector('#answer:not([data-state="running"])');
}

/** The outlines of the overlay, by the number of their object. */
export async function shapes(page: Page): Promise<number[][][]> {
  const paths = await page.$$eval("#overlay .shape", (groups) =>
    groups
      .map((group) => [
        Number((group as SVGElement).dataset.index),
        group.querySelector(".line")!.getAttribute("d"),
      ])
      .sort(([a], [b]) => (a as number) - (b as number))
      .map(([, path]) => path as string),
  );
  return paths.map((path) =>
    path
      .split("M")
      .filter(Boolean)
      .map((outline) => outline.match(/[\d.e+-]+/g)!.map(Number)),
  );
}
