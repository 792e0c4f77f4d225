/** What the page loads, where from, and what its policy forbids. */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { tasks } from "florence2-webgpu";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { policyOf } from "../../server/playground/files.ts";
import { ask, chromiumOrHint, hasChromium, openPage, ready, startBrowser } from "./support/browser.ts";
import { files, type StaticHost, startStaticHost } from "./support/static_host.ts";

/** Bytes in gzip of all that the page needs before a model and pictures. */
const MOST = 100_000;

describe.skipIf(!hasChromium)(`what the page loads (needs: ${chromiumOrHint})`, () => {
  let browser: Browser;
  let host: StaticHost;
  beforeAll(async () => {
    [browser, host] = await Promise.all([startBrowser(), startStaticHost()]);
  });
  afterAll(async () => {
    await browser?.close();
    await host?.close();
  });

  it("weighs little before a model is there", async () => {
    const { page } = await openPage(browser, { serviceWorkers: "block" });
    const loading: Promise<readonly [string, number]>[] = [];
    page.on("response", (response) => {
      const { pathname } = new URL(response.url());
      if (response.ok() && pathname.startsWith("/") && !pathname.startsWith("/samples/"))
        loading.push(response.body().then((body) => [pathname, gzipSync(body).length]));
    });
    // Neither the model nor the worker with the library, which loads it.
    await page.route(/\/model\/|\/assets\/worker-/, (route) => route.abort());
    await page.goto(host.url, { waitUntil: "networkidle" });
    await page.waitForSelector("#surface:not([hidden])");
    const loaded = new Map(await Promise.all(loading));
    expect([...loaded.keys()]).toContain("/");
    expect([...loaded.keys()].some((name) => name.endsWith(".js"))).toBe(true);
    expect([...loaded.keys()].some((name) => name.endsWith(".css"))).toBe(true);
    const sum = [...loaded.values()].reduce((bytes, size) => bytes + size, 0);
    expect(sum, JSON.stringify([...loaded])).toBeLessThan(MOST);
    await page.context().close();
  });

  it("comes from its own origin alone, in all of a run", async () => {
    const { page, context } = await openPage(browser);
    const asked = new Set<string>();
    context.on("request", (request) => asked.add(new URL(request.url()).origin));
    await page.goto(host.url);
    await ready(page);
    for (const { token } of tasks.filter(({ input }) => input === "none")) await ask(page, token);
    await page.click('[data-sample="farm.jpg"]');
    await ask(page, "<CAPTION>");
    // Files that the page made itself have its origin, too.
    expect([...asked]).toEqual([new URL(host.url).origin]);
    await context.close();
  });

  describe("its policy", () => {
    /** Another site, which would answer with a script. */
    let other: Server;
    const reached: string[] = [];
    beforeAll(async () => {
      other = createServer(({ url }, response) => {
        reached.push(url!);
        response
          .writeHead(200, {
            "content-type": "text/javascript",
            "cross-origin-resource-policy": "cross-origin",
          })
          .end("globalThis.hijacked = true");
      });
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    });
    afterAll(async () => {
      other.closeAllConnections();
      await new Promise((resolve) => other.close(resolve));
    });

    it("forbids code, styles, frames and pictures of others, and code in the page's text", async () => {
      const { page } = await openPage(browser, { serviceWorkers: "block" });
      await page.goto(host.url);
      await ready(page);
      const origin = `http://localhost:${(other.address() as AddressInfo).port}`;
      const forbidden = await page.evaluate(async (site) => {
        const broken: string[] = [];
        document.addEventListener("securitypolicyviolation", (event) =>
          broken.push(event.effectiveDirective),
        );
        const add = (name: string, fields: object) =>
          document.body.append(Object.assign(document.createElement(name), fields));
        add("script", { src: `${site}/script` });
        add("script", { textContent: "globalThis.hijacked = true" });
        add("link", { rel: "stylesheet", href: `${site}/style` });
        add("iframe", { src: `${site}/frame` });
        add("img", { src: `${site}/image` });
        add("object", { data: `${site}/object` });
        add("div", { innerHTML: `<b onclick="globalThis.hijacked = true">x</b>` });
        document.querySelector<HTMLElement>("body > div:last-child b")!.click();
        // Later, when the browser's tools, which may more than the page, do not run this.
        await new Promise((resolve) => setTimeout(resolve, 200));
        try {
          // biome-ignore lint/security/noGlobalEval: the policy is to forbid it.
          globalThis.eval("globalThis.hijacked = true");
        } catch {
          broken.push("eval");
        }
        // Events come when the browser has time.
        for (let i = 0; i < 600 && new Set(broken).size < 8; i++)
          await new Promise((resolve) => setTimeout(resolve, 100));
        await new Promise((resolve) => setTimeout(resolve, 200));
        return { broken: [...new Set(broken)].sort(), isHijacked: "hijacked" in globalThis };
      }, origin);
      expect(forbidden).toEqual({
        broken: [
          "eval",
          "frame-src",
          "img-src",
          "object-src",
          "script-src",
          "script-src-attr",
          "script-src-elem",
          "style-src-elem",
        ],
        isHijacked: false,
      });
      expect(reached).toEqual([]);
      await page.context().close();
    });

    it("is the page's own and the server's header", () => {
      const page = readFileSync(`${files}/index.html`);
      const policy = policyOf(page);
      expect(policy).toMatch(
        /^default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; .*frame-ancestors 'none'$/,
      );
      expect(policy).not.toMatch(/unsafe-inline|unsafe-eval(?!')|\*(?!;| |$)/);
      // No script or style stands in the page's text.
      expect(page.toString()).not.toMatch(/<style|<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=/);
    });
  });
});
