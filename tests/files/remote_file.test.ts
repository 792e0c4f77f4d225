import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openFile, openFiles } from "../../files/files.ts";
import { BLOCK_BYTES } from "../../files/remote_file.ts";
import { florenceError } from "../support/errors.ts";

const DATA = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);

describe("files of a server", () => {
  let base: string;
  let requests: string[] = [];
  const LARGE = Uint8Array.from({ length: 3 * BLOCK_BYTES - 5 }, (_, i) => i % 251);
  const server = createServer((request, response) => {
    requests.push(`${request.url} ${request.headers.range}`);
    answer(request, response);
  });
  beforeAll(async () => {
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  /** What goes wrong is the first part of the path. */
  function answer(request: IncomingMessage, response: ServerResponse): void {
    const [, fault, name = ""] = new URL(request.url ?? "", base).pathname.split("/");
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const content: Uint8Array | undefined = { "data.bin": LARGE, "a%20b%25.json": DATA, "small.bin": DATA }[
      name
    ];
    if (fault === "page")
      return void response
        .writeHead(200, { "content-type": "text/html; charset=utf-8" })
        .end("<!doctype html>");
    if (fault === "loop") return void response.writeHead(302, { location: request.url }).end();
    if (fault === "login" && request.headers.authorization !== `Basic ${btoa("me:p@ss")}`)
      return void response.writeHead(401).end();
    if (!content) return void response.writeHead(404).end();
    const [start, end] = [Number(from), Math.min(Number(to) + 1, content.length)];
    if (fault === "broken") return void response.writeHead(503).end("<html>");
    if (fault === "whole") return void response.writeHead(200).end(content);
    if (fault === "empty") return void response.writeHead(416, { "content-range": "bytes */0" }).end();
    if (fault === "silent") return void response.writeHead(206).end(content.subarray(start, end));
    if (fault === "gzip") {
      const packed = gzipSync(content);
      const range = { "content-range": `bytes 0-${packed.length - 1}/${packed.length}` };
      const headers = { "content-encoding": "gzip", ...(from && range) };
      return void response.writeHead(from ? 206 : 200, headers).end(packed);
    }
    const first = start === 0;
    const headers: Record<string, string> = {
      "content-range": `bytes ${start}-${end - 1}/${content.length}`,
    };
    headers.etag = fault === "changed" && !first ? '"2"' : '"1"';
    if (fault === "other" && !first) headers["content-range"] = `bytes 0-${end - 1}/${content.length}`;
    if (fault === "rangepage") headers["content-type"] = "text/html";
    response.writeHead(206, headers);
    if (fault === "cut" && !first)
      return void response.write(content.subarray(start, end - 5), () => response.destroy());
    if (fault === "short" && !first) return void response.end(content.subarray(start, end - 5));
    if (fault === "surplus" && !first) return void response.end(content);
    if (fault === "slow" && !first) return void response.write(content.subarray(start, start + 1));
    response.end(content.subarray(start, end));
  }
  const [M, N] = [BLOCK_BYTES, LARGE.length];

  it("are read in blocks, each once, by URL and by string", async () => {
    requests = [];
    const file = await openFiles(new URL(`${base}/good`)).open("data.bin");
    expect(file.size).toBe(N);
    expect(file.name).toBe(`${base}/good/data.bin`);
    expect(await file.read(100, 200)).toEqual(LARGE.slice(100, 200));
    expect(await file.read(7, 7)).toHaveLength(0);
    expect(await file.read(M - 3, M + 3)).toEqual(LARGE.slice(M - 3, M + 3));
    const pieces = Array.from({ length: 8 }, (_, i) => N - 100 * i - 100);
    const read = await Promise.all(pieces.map((start) => file.read(start, start + 100)));
    expect(read).toEqual(pieces.map((start) => LARGE.slice(start, start + 100)));
    expect(requests).toEqual([
      `/good/data.bin bytes=0-${M - 1}`,
      `/good/data.bin bytes=${M}-${2 * M - 1}`,
      `/good/data.bin bytes=${2 * M}-${N - 1}`,
    ]);
    await file.close();
  });

  it("are read at once where much is asked for", async () => {
    const file = await openFile(`${base}/good/data.bin`);
    requests = [];
    expect(Buffer.compare(await file.read(1, 2 * M), LARGE.slice(1, 2 * M))).toBe(0);
    expect(requests).toEqual([`/good/data.bin bytes=1-${2 * M - 1}`]);
    await file.close();
  });

  it("take one request if they are small, and one to see whether they are there", async () => {
    requests = [];
    const file = await openFile(`${base}/good/small.bin`);
    expect(await file.read(999, 1000)).toEqual(DATA.slice(999));
    await file.close();
    expect(await openFiles(`${base}/good/`).has("a b%.json")).toBe(true);
    expect(await openFiles(`${base}/good/`).has("other.bin")).toBe(false);
    expect(requests).toHaveLength(3);
  });

  it("are kept whole if the server knows no ranges, and fetched once", async () => {
    requests = [];
    const file = await openFile(`${base}/whole/data.bin`);
    expect(await file.read(100, 200)).toEqual(LARGE.slice(100, 200));
    expect(await file.read(0, 1000)).toEqual(LARGE.slice(0, 1000));
    expect(requests).toHaveLength(1);
  });

  it("are fetched whole where ranges are those of a compressed copy, as a browser's cache makes them", async () => {
    requests = [];
    const file = await openFile(`${base}/gzip/small.bin`);
    expect(file.size).toBe(DATA.length);
    expect(await file.read(0, DATA.length)).toEqual(DATA);
    expect(requests).toEqual([`/gzip/small.bin bytes=0-${M - 1}`, "/gzip/small.bin undefined"]);
  });

  it("may be empty", async () => {
    expect((await openFile(`${base}/empty/data.bin`)).size).toBe(0);
  });

  it("are asked for by the caller's own fetch", async () => {
    const urls: string[] = [];
    const own: typeof fetch = (input, init) => {
      urls.push(String(input));
      return fetch(input, init);
    };
    expect(await openFiles(`${base}/good`, { fetch: own }).has("small.bin")).toBe(true);
    expect(urls).toEqual([`${base}/good/small.bin`]);
  });

  it("are absent where a page comes in their place, as servers of single-page applications send", async () => {
    for (const fault of ["page", "rangepage"]) {
      const files = openFiles(`${base}/${fault}`);
      expect(await files.has("data.bin")).toBe(false);
      expect(await files.optionalJson("small.bin")).toBeUndefined();
      await expect(files.open("data.bin")).rejects.toEqual(
        florenceError("file_not_found", "data.bin does not exist", "web page"),
      );
    }
  });

  it("take a name and a password from the URL, and never show them", async () => {
    const url = `${base.replace("//", "//me:p%40ss@")}/login/small.bin`;
    const file = await openFile(url);
    expect(file.name).toBe(`${base}/login/small.bin`);
    expect(await file.read(0, 3)).toEqual(DATA.slice(0, 3));
    await file.close();
    const wrong = await openFile(url.replace("me:", "you:")).catch((error: unknown) => error);
    expect(wrong).toEqual(florenceError("file_unreadable", "status 401"));
    expect(inspect(wrong)).not.toMatch(/p@ss|p%40ss|you:/);
  });

  it("are missing or refused", async () => {
    const opened = (fault: string, name = "data.bin") => openFile(`${base}/${fault}/${name}?token=secret`);
    await expect(opened("good", "x")).rejects.toEqual(
      florenceError("file_not_found", /x does not exist in the server/),
    );
    await expect(opened("broken")).rejects.toEqual(
      florenceError("file_unreadable", "status 503", /^(?!.*secret)/),
    );
    await expect(opened("silent")).rejects.toEqual(florenceError("file_unreadable", "Content-Range"));
    await expect(opened("loop")).rejects.toEqual(florenceError("file_unreadable", "redirect count exceeded"));
    await expect(openFile("http://127.0.0.1:1/x")).rejects.toEqual(
      florenceError("file_unreadable", "fetched"),
    );
    await expect(openFile("http://")).rejects.toEqual(florenceError("file_unreadable", "URL"));
    const long = await opened("good", "x".repeat(5000)).catch((error: Error) => error.message);
    expect(String(long).length).toBeLessThan(300);
  });

  it.each([
    ["changed", "changed"],
    ["other", "changed"],
    ["cut", "broke off"],
    ["short", `instead of ${N - 2 * M}`],
    ["surplus", "broke off"],
  ])("are found out when an answer is wrong: %s", async (fault, message) => {
    const file = await openFile(`${base}/${fault}/data.bin`);
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(file.read(N - 200, N - 100)).rejects.toEqual(florenceError("file_unreadable", message));
    }
    await file.close();
  });

  it("stop at the abort signal in the middle of an answer", async () => {
    const stop = new AbortController();
    const file = await openFile(`${base}/slow/data.bin`, { signal: stop.signal });
    const read = file.read(N - 200, N - 100);
    setTimeout(() => stop.abort(new Error("enough")), 50);
    await expect(read).rejects.toThrow("enough");
    server.closeAllConnections();
  });
});
