import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

/** The first browser of this family on the machine; Debian's package `chromium` brings one. */
export const chromium = ["chromium", "chromium-browser", "google-chrome"].find(
  (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0,
);

const SOFTWARE_WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const NO_WEBGPU = ["--disable-features=WebGPU,WebGPUService", "--disable-gpu"];
/** No word to hosts outside. */
const FLAGS = [
  "--headless",
  "--remote-debugging-pipe",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Milliseconds. */
const PATIENCE = 900_000;

interface Message {
  readonly id?: number;
  readonly error?: { readonly message: string };
  // biome-ignore lint/suspicious/noExplicitAny: each method of the protocol has a result of its own.
  readonly result?: any;
}

/** A page in a headless browser of its own, spoken to by the Chrome DevTools Protocol over a pipe. */
export class Page {
  readonly #browser: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #sent = 0;
  #session: string | undefined;

  /** @param webgpu whether the browser has WebGPU, in software */
  static async open(url: string, { webgpu = true } = {}): Promise<Page> {
    const page = new Page(webgpu ? SOFTWARE_WEBGPU : NO_WEBGPU);
    const { targetInfos } = await page.#send("Target.getTargets");
    const { targetId } = targetInfos.find(({ type }: { type: string }) => type === "page");
    const { sessionId } = await page.#send("Target.attachToTarget", { targetId, flatten: true });
    page.#session = sessionId;
    await page.goTo(url);
    return page;
  }

  private constructor(flags: readonly string[]) {
    this.#profile = mkdtempSync(join(tmpdir(), "florence2-chromium-"));
    // Chromium refuses to run as root with its sandbox.
    const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    this.#browser = spawn(
      chromium!,
      [...FLAGS, ...flags, ...sandbox, `--user-data-dir=${this.#profile}`, "about:blank"],
      {
        stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
      },
    );
    let received = "";
    (this.#browser.stdio[4] as Readable).setEncoding("utf8").on("data", (text: string) => {
      const messages = (received + text).split("\0");
      received = messages.pop()!;
      for (const message of messages) this.#receive(JSON.parse(message));
    });
    this.#browser.on("exit", (code) => {
      for (const id of this.#waiting.keys())
        this.#receive({ id, error: { message: `the browser ended: ${code}` } });
    });
  }

  async goTo(url: string): Promise<void> {
    await this.#send("Page.navigate", { url });
  }

  /** The value of an expression, awaited; what it throws is thrown here. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
      userGesture: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Waits until an expression is true; a page that broke down stays as it is for ever. */
  async until(condition: string): Promise<void> {
    const end = performance.now() + PATIENCE;
    while (!(await this.evaluate<boolean>(condition))) {
      if (performance.now() > end) throw new Error(`after ${PATIENCE} ms still not true: ${condition}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#browser.once("exit", resolve));
    await this.#send("Browser.close");
    await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  async #send(method: string, params: Record<string, unknown> = {}) {
    const id = ++this.#sent;
    const message = { id, method, params, sessionId: this.#session };
    const answer = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    (this.#browser.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
    const { result, error } = await answer;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  #receive(message: Message): void {
    this.#waiting.get(message.id!)?.(message);
    this.#waiting.delete(message.id!);
  }
}
