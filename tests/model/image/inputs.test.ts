import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { runInNewContext } from "node:vm";
import { crc32, deflateSync } from "node:zlib";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ImageInput, loadImage } from "../../../model/image/load.ts";
import { florenceError } from "../../support/errors.ts";

const kind = (name: string) =>
  fileURLToPath(new URL(`../../fixtures/pictures/kinds/${name}`, import.meta.url));
const PNG = readFileSync(kind("rgb.png"));
const expected = await loadImage(PNG);

describe("an image", () => {
  it("may be bytes of another realm, as in a test runner or an iframe", async () => {
    const foreign = runInNewContext("(bytes) => Uint8Array.from(bytes)")(PNG) as Uint8Array;
    expect(foreign instanceof Uint8Array).toBe(false);
    expect(await loadImage(foreign)).toEqual(expected);
    expect(await loadImage(foreign.buffer as ArrayBuffer)).toEqual(expected);
    const pixels = runInNewContext("() => new Uint8ClampedArray(4).fill(9)")() as Uint8ClampedArray;
    expect((await loadImage({ data: pixels, width: 1, height: 1 })).data).toEqual(Uint8Array.of(9, 9, 9));
  });

  it("may be what sharp gives, or an instance of it", async () => {
    const output = await sharp(PNG).raw().toBuffer({ resolveWithObject: true });
    expect(await loadImage(output)).toEqual(expected);
    const instance = sharp(PNG);
    expect(await loadImage(instance)).toEqual(expected);
    expect(await loadImage(instance.resize(9, 7))).toMatchObject({ width: 9, height: 7 });
    const encoded = await sharp(PNG).png().toBuffer({ resolveWithObject: true });
    await expect(loadImage(encoded)).rejects.toEqual(florenceError("image_invalid", "encoded png", "raw()"));
    await expect(loadImage(sharp(PNG.subarray(0, 90)))).rejects.toEqual(florenceError("image_corrupt"));
  });

  it("may be a Response, its body, or a stream", async () => {
    expect(await loadImage(new Response(PNG))).toEqual(expected);
    expect(await loadImage(new Response(PNG).body!)).toEqual(expected);
    expect(await loadImage(new Blob([PNG]).stream())).toEqual(expected);
    const read = new Response(PNG);
    await read.arrayBuffer();
    await expect(loadImage(read)).rejects.toEqual(florenceError("file_unreadable", "read already"));
    await expect(loadImage(new Response("no", { status: 404 }))).rejects.toEqual(
      florenceError("file_not_found", "404"),
    );
    await expect(loadImage(new Response(PNG), { maxBytes: 100 })).rejects.toEqual(
      florenceError("image_too_large", "maxBytes is 100"),
    );
  });

  it("is no base64 without the beginning of a data: URL, and is never repeated", async () => {
    const text = PNG.toString("base64");
    for (const long of [text, Buffer.alloc(3e6, 7).toString("base64")]) {
      const error = (await loadImage(long).catch((reason: unknown) => reason)) as Error;
      expect(error).toEqual(florenceError("image_invalid", "base64", "data:image/jpeg;base64,"));
      expect(error.message.length).toBeLessThan(300);
    }
    expect(await loadImage(`data:image/png;base64,${text}`)).toEqual(expected);
  });

  it("is named in errors, and briefly", async () => {
    await expect(loadImage(kind("windows.ico"))).rejects.toEqual(
      florenceError("image_unsupported", "windows.ico: ", "an ICO file"),
    );
    const path = `/no/${"x".repeat(5000)}.png`;
    const error = (await loadImage(path).catch((reason: unknown) => reason)) as Error;
    expect(error.message.length).toBeLessThan(400);
    await expect(loadImage(new File(["<html>"], "cat.jpg"))).rejects.toEqual(
      florenceError("image_unsupported", "cat.jpg: ", "HTML"),
    );
  });

  it("is nothing else", async () => {
    for (const input of [null, undefined, 7, [PNG], {}, () => PNG]) {
      await expect(loadImage(input as unknown as ImageInput)).rejects.toEqual(
        florenceError("image_invalid", "An image is a path"),
      );
    }
  });
});

describe("16-bit grey with a transparent level", () => {
  it("is clipped, as Pillow does with and without one", async () => {
    const levels = [0, 77, 255, 256, 300, 65535];
    const row = Buffer.concat([Buffer.of(0), ...levels.map((level) => Buffer.of(level >> 8, level & 255))]);
    const header = Buffer.of(0, 0, 0, levels.length, 0, 0, 0, 1, 16, 0, 0, 0, 0);
    const chunks = [
      ["IHDR", header],
      ["tRNS", Buffer.of(0, 77)],
      ["IDAT", deflateSync(row)],
      ["IEND", Buffer.of()],
    ] as const;
    const png = Buffer.concat([PNG.subarray(0, 8), ...chunks.map(([name, data]) => pngChunk(name, data))]);
    const expected = levels.flatMap((level) => Array<number>(3).fill(Math.min(level, 255)));
    expect((await loadImage(png)).data).toEqual(Uint8Array.from(expected));
  });

  function pngChunk(name: string, data: Uint8Array): Uint8Array {
    const chunk = Buffer.alloc(data.length + 12);
    chunk.writeUInt32BE(data.length);
    chunk.write(name, 4, "latin1");
    chunk.set(data, 8);
    chunk.writeUInt32BE(crc32(chunk.subarray(4, -4)), data.length + 8);
    return chunk;
  }
});

describe("a TIFF that this build of sharp cannot expand", () => {
  // 11 x 9 pixels, by Pillow with compression="zstd".
  const ZSTD =
    "SUkqADoBAAAotS/9AGBJCQDREa7ByN4wjcxbMHoUONqq29bfT3idReoB1aRAt2nV/kd3NrCj18359eQmCnpX5MtrkpbjBnyrc+ry0nbhEqhEPq3D4jXe01APxNJ1KSVfwVAIsL0tjmV/AaFCjWubG1yhw2EGuICmKG3h3VChFc5EV/aK3zLB/hM+JUFPEuRB6sIrscUgIV8Ra3qpkXQ4lXTWsrmRXUdykV0lGwszZ0gtULZP6pMj9+DFKMmywbWYV+r6r1t/jxMWfI82QyHpgUbI9EvlxMqG6CYW9nxmukui18wf97uyL+tk8DsX1pRj+PgCn82wmYSITiRkse/1Mwf7q8HPW9yjpGFXYbaABQQxfZj3xkiDvuFwtjV15mEEyU1v/mJCO9g2mjzNt6BsXPLCYwYgcXVe+nkKAAABAwABAAAACwAAAAEBAwABAAAACQAAAAIBAwADAAAAuAEAAAMBAwABAAAAUMMAAAYBAwABAAAAAgAAABEBBAABAAAACAAAABUBAwABAAAAAwAAABYBAwABAAAACQAAABcBBAABAAAAMgEAABwBAwABAAAAAQAAAAAAAAAIAAgACAA=";

  it("is unsupported, not corrupt", async () => {
    await expect(loadImage(Buffer.from(ZSTD, "base64"))).rejects.toEqual(
      florenceError("image_unsupported", "ZSTD"),
    );
  });
});

describe("JPEGs with harmless oddities", () => {
  const JPEG = readFileSync(kind("420.jpg"));

  it("are read like others: an end of the spectrum of 0, as phones write it", async () => {
    const odd = Buffer.from(JPEG);
    const scan = odd.indexOf(Buffer.from([0xff, 0xda]));
    odd[scan + 5 + 2 * odd[scan + 4]! + 1] = 0;
    expect(odd).not.toEqual(JPEG);
    expect(await loadImage(odd)).toEqual(await loadImage(JPEG));
  });

  it("are read like others: bytes between segments", async () => {
    const odd = Buffer.concat([JPEG.subarray(0, 20), Buffer.from([0, 0]), JPEG.subarray(20)]);
    expect(await loadImage(odd)).toEqual(await loadImage(JPEG));
  });

  it("are still refused when they are cut off", async () => {
    for (const part of [0.3, 0.7, 0.95]) {
      await expect(loadImage(JPEG.subarray(0, JPEG.length * part))).rejects.toEqual(
        florenceError("image_corrupt"),
      );
    }
  });
});

describe("the background", () => {
  const raw = {
    data: Uint8Array.of(200, 100, 0, 128, 10, 20, 30, 0),
    width: 2,
    height: 1,
    channels: 4,
  } as const;

  it("shows through transparent parts, and is absent by default", async () => {
    expect((await loadImage(raw)).data).toEqual(Uint8Array.of(200, 100, 0, 10, 20, 30));
    // 200 · 128/255 + 255 · 127/255 = 227.4, and so on.
    expect((await loadImage(raw, { background: [255, 255, 255] })).data).toEqual(
      Uint8Array.of(227, 177, 127, 255, 255, 255),
    );
    const png = await sharp(raw.data, { raw: { width: 2, height: 1, channels: 4 } })
      .png()
      .toBuffer();
    expect((await loadImage(png, { background: [255, 255, 255] })).data).toEqual(
      Uint8Array.of(227, 177, 127, 255, 255, 255),
    );
    expect((await loadImage(kind("transparent.gif"), { background: [1, 2, 3] })).data).toContain(3);
  });

  it("is a colour", async () => {
    for (const background of [[255, 255], [0, 0, 256], [0, 0, 0.5], "white"]) {
      await expect(loadImage(raw, { background: background as never })).rejects.toEqual(
        florenceError("option_invalid", "background"),
      );
    }
  });
});

describe("an image on a server", () => {
  let base: string;
  const server = createServer((request, response) => {
    if (request.url === "/loop") return void response.writeHead(302, { location: "/loop" }).end();
    if (request.url?.startsWith("/page.jpg")) return void response.end("<!doctype html>");
    if (request.headers.authorization !== `Basic ${btoa("me:secret")}`)
      return void response.writeHead(401).end();
    response.end(PNG);
  });
  beforeAll(async () => {
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  it("is fetched with the name and password of its URL, which no error shows", async () => {
    expect(await loadImage(`${base.replace("//", "//me:secret@")}/a.png?token=hidden`)).toEqual(expected);
    for (const path of ["/loop", "/page.jpg", "/a.png"]) {
      const url = `${base.replace("//", "//you:secret@")}${path}?token=hidden`.replace(
        "/loop?token=hidden",
        "/loop",
      );
      const error = await loadImage(url).catch((reason: unknown) => reason);
      expect(error).toEqual(
        florenceError(path === "/page.jpg" ? "image_unsupported" : "file_unreadable", path),
      );
      expect(inspect(error, { depth: 9 })).not.toMatch(/secret|hidden|you:/);
    }
  });

  it("names the reason: a loop of redirects, no server, a page in its place", async () => {
    await expect(loadImage(`${base}/loop`)).rejects.toEqual(
      florenceError("file_unreadable", "redirect count exceeded"),
    );
    await expect(loadImage("http://127.0.0.1:1/x.jpg")).rejects.toEqual(florenceError("file_unreadable"));
    await expect(loadImage(`${base}/page.jpg?x=1`)).rejects.toEqual(
      florenceError("image_unsupported", `${base}/page.jpg: `, "HTML"),
    );
  });
});
