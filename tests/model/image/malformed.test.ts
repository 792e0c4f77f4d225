import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { afterAll, describe, expect, it } from "vitest";
import { Florence2Error } from "../../../core/errors.ts";
import { parseImageHeader } from "../../../model/image/header.ts";
import { type ImageInput, type LoadImageOptions, loadImage } from "../../../model/image/load.ts";

const kind = (name: string) =>
  fileURLToPath(new URL(`../../fixtures/pictures/kinds/${name}`, import.meta.url));
const read = (name: string) => new Uint8Array(readFileSync(kind(name)));
const text = (content: string) => new TextEncoder().encode(content);

async function failure(input: unknown, options?: LoadImageOptions): Promise<Florence2Error> {
  const error = await loadImage(input as ImageInput, options).then(
    () => "no error",
    (error) => error,
  );
  expect(error).toBeInstanceOf(Florence2Error);
  return error;
}

describe("what is no image of the seven formats", () => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="30000" height="30000"/>';
  const isoMedia = (brand: string) => Uint8Array.of(0, 0, 0, 24, ...text(`ftyp${brand}\0\0\0\0${brand}mif1`));
  const cases: [string, Uint8Array, string][] = [
    ["nothing", new Uint8Array(), "empty"],
    ["one byte", Uint8Array.of(0xff), "unknown"],
    ["a text", text("This is no image."), "unknown"],
    ["JSON", text('{"error": "not found"}'), "unknown"],
    ["an HTML page", text("<!DOCTYPE html><title>404</title>"), "HTML"],
    ["an SVG", text(svg), "SVG"],
    ["an SVG with a declaration", text(`\ufeff\n<?xml version="1.0"?>${svg}`), "SVG"],
    ["a PDF", text("%PDF-1.7\n"), "PDF"],
    ["an MP4", isoMedia("isom"), "MP4"],
    ["a HEIC", isoMedia("heic"), "HEIC"],
    ["a BMP of the future", Uint8Array.from(read("windows.bmp")).fill(99, 14, 15), "BMP"],
    ["an ICO", read("windows.ico"), "ICO"],
    ["a BigTIFF", Uint8Array.of(0x49, 0x49, 43, 0, 8, 0, 0, 0), "BigTIFF"],
    ["a WAV, which is RIFF as WebP is", text("RIFF\x24\0\0\0WAVEfmt "), "unknown"],
  ];
  it.each(cases)("%s", async (_, bytes, hint) => {
    const error = await failure(bytes);
    expect(error.code).toBe("image_unsupported");
    expect(error.message).toContain(hint);
  });

  it.each(["float.tif", "int32.tif", "lab.tif", "ycbcr.tif"])("%s: samples of another kind", async (name) => {
    expect((await failure(kind(name))).code).toBe("image_unsupported");
  });

  it.each([
    [0xc3, 8, "lossless"],
    [0xc9, 8, "arithmetic"],
    [0xc1, 12, "12-bit"],
  ])("JPEG with frame header %i of %i bits", async (marker, bits, hint) => {
    const error = await failure(jpegOf(100, 100, marker, bits));
    expect(error.code).toBe("image_unsupported");
    expect(error.message).toContain(hint);
  });

  it.each([null, undefined, 5, true, {}, [], new Uint16Array(4), new DataView(new ArrayBuffer(4)), () => {}])(
    "value %s",
    async (value) => {
      expect((await failure(value)).code).toBe("image_invalid");
    },
  );
});

describe("cut and broken images", () => {
  const names = ["rgb.png", "420.jpg", "progressive.jpg", "lossy.webp", "lossless.webp", "animated.webp"];
  names.push("still.gif", "444.avif", "rgb.tif", "lzw.tif", "jpeg.tif");
  it.each(names)("%s, cut anywhere", async (name) => {
    const bytes = read(name);
    for (const part of [0.02, 0.1, 0.5, 0.9, 0.98]) {
      const cut = bytes.subarray(0, Math.max(12, Math.floor(bytes.length * part)));
      expect((await failure(cut)).code).toBe("image_corrupt");
    }
  });

  it.each(["420.jpg", "lossy.webp", "444.avif", "rgb.tif"])("%s without its last byte", async (name) => {
    expect((await failure(read(name).subarray(0, -1))).code).toBe("image_corrupt");
  });

  it.each([
    ["rgb.png", 12],
    ["still.gif", 1],
  ])("%s without its end marker has all its pixels", async (name, length) => {
    const cut = await loadImage(read(name).subarray(0, -length));
    expect(cut).toEqual(await loadImage(kind(name)));
  });

  it("PNG with a wrong checksum in the header or the data", async () => {
    for (const place of [23, 29, 500, 1000]) {
      const bytes = read("rgb.png");
      bytes[place]! ^= 1;
      expect((await failure(bytes)).code).toBe("image_corrupt");
    }
  });

  it("any header cut anywhere, by the header reader alone", () => {
    for (const name of [...names, "turned.avif", "cmyk.tif", "turned.webp", "transparent.gif"]) {
      const bytes = read(name);
      const whole = JSON.stringify(parseImageHeader(bytes));
      const results = new Set<string>();
      for (let length = 0; length < bytes.length; length++) {
        try {
          results.add(JSON.stringify(parseImageHeader(bytes.subarray(0, length))));
        } catch (error) {
          results.add(error instanceof Florence2Error ? error.code : String(error));
        }
      }
      for (const allowed of [whole, "image_unsupported", "image_corrupt"]) results.delete(allowed);
      expect([...results]).toEqual([]);
    }
  });

  it("any byte of the header changed", async () => {
    for (const name of ["rgb.png", "420.jpg", "lossy.webp", "transparent.gif", "444.avif", "lzw.tif"]) {
      for (let place = 0; place < 64; place++) {
        const bytes = read(name);
        bytes[place]! ^= 0xff;
        const result = await loadImage(bytes, { maxPixels: 1e6 }).catch((error) => error);
        if (result instanceof Error) expect(result).toMatchObject({ code: expect.stringMatching(/^image_/) });
        else expect(result.data.length).toBe(result.width * result.height * 3);
      }
    }
  });
});

/** A PNG with true checksums, so that only its size is wrong. */
function pngOf(width: number, height: number, rows = new Uint8Array()): Uint8Array {
  const crc = (bytes: Uint8Array) => {
    let value = ~0;
    for (const byte of bytes) {
      value ^= byte;
      for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
    }
    return ~value >>> 0;
  };
  const uint32 = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
  const chunk = (type: string, data: Iterable<number>) => {
    const typed = Uint8Array.of(...text(type), ...data);
    return [...uint32(typed.length - 4), ...typed, ...uint32(crc(typed))];
  };
  const header = chunk("IHDR", [...uint32(width), ...uint32(height), 1, 0, 0, 0, 0]);
  const signature = [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10];
  return Uint8Array.of(...signature, ...header, ...chunk("IDAT", deflateSync(rows)), ...chunk("IEND", []));
}

function jpegOf(width: number, height: number, marker = 0xc0, bits = 8): Uint8Array {
  const size = [height >> 8, height & 255, width >> 8, width & 255];
  return Uint8Array.of(0xff, 0xd8, 0xff, marker, 0, 11, bits, ...size, 1, 1, 0x11, 0, 0xff, 0xd9);
}

/** An extended WebP, which states its size with 24 bits each. */
function webpOf(width: number, height: number): Uint8Array {
  const uint24 = (value: number) => [value & 255, (value >> 8) & 255, value >> 16];
  const sizes = [...uint24(width - 1), ...uint24(height - 1)];
  return Uint8Array.of(...text("RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0"), ...sizes);
}

const gifOf = (width: number, height: number) =>
  Uint8Array.of(...text("GIF89a"), width & 255, width >> 8, height & 255, height >> 8, 0, 0, 0);

describe("sizes", () => {
  it.each<[string, Uint8Array]>([
    ["PNG of 20000 x 20000", pngOf(20_000, 20_000, new Uint8Array(2501 * 20_000))],
    ["PNG of 2147483647 x 1", pngOf(2 ** 31 - 1, 1)],
    ["PNG of 1 x 65536", pngOf(1, 65_536)],
    ["JPEG of 65500 x 65500", jpegOf(65_500, 65_500)],
    ["WebP of 16383 x 16383", webpOf(16_383, 16_383)],
    ["GIF of 65535 x 65535", gifOf(65_535, 65_535)],
  ])("%s is refused by its header", async (_, bytes) => {
    let decodings = 0;
    const count = () => decodings++;
    sharp.queue.on("change", count);
    expect((await failure(bytes)).code).toBe("image_too_large");
    expect(decodings).toBe(0);
    await loadImage(kind("rgb.png"));
    expect(decodings).toBeGreaterThan(0);
    sharp.queue.off("change", count);
  });

  it.each<[string, Uint8Array]>([
    ["PNG of 0 x 0", pngOf(0, 0)],
    ["PNG of 0 x 5", pngOf(0, 5)],
    ["JPEG of 5 x 0", jpegOf(5, 0)],
    ["GIF of 0 x 9", gifOf(0, 9)],
  ])("%s", async (_, bytes) => {
    expect((await failure(bytes)).code).toBe("image_corrupt");
  });

  it("counts pixels and bytes against the options", async () => {
    const path = kind("rgb.png");
    await expect(loadImage(path, { maxPixels: 45 * 31 })).resolves.toMatchObject({ width: 45, height: 31 });
    const error = await failure(path, { maxPixels: 45 * 31 - 1 });
    expect(error).toMatchObject({
      code: "image_too_large",
      details: { width: 45, height: 31, maxPixels: 1394 },
    });
    const { length } = read("rgb.png");
    await expect(loadImage(path, { maxBytes: length })).resolves.toMatchObject({ width: 45 });
    for (const input of [path, read("rgb.png"), new Blob([read("rgb.png")])]) {
      expect((await failure(input, { maxBytes: length - 1 })).code).toBe("image_too_large");
    }
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "10"])("a limit of %s", async (limit) => {
    expect((await failure(kind("rgb.png"), { maxPixels: limit as number })).code).toBe("option_invalid");
    expect((await failure(kind("rgb.png"), { maxBytes: limit as number })).code).toBe("option_invalid");
  });
});

describe("raw pixels", () => {
  const data = new Uint8Array(12);
  it.each<[string, unknown]>([
    ["too short", { data, width: 3, height: 2, channels: 3 }],
    ["too long", { data, width: 1, height: 2, channels: 3 }],
    ["RGB without its channels", { data, width: 2, height: 2 }],
    ["no width", { data, height: 2, channels: 3 }],
    ["width 0", { data: new Uint8Array(), width: 0, height: 2, channels: 3 }],
    ["width NaN", { data, width: Number.NaN, height: 2, channels: 3 }],
    ["half a pixel", { data, width: 1.5, height: 2, channels: 4 }],
    ["5 channels", { data: new Uint8Array(20), width: 2, height: 2, channels: 5 }],
    ["floats", { data: new Float32Array(12), width: 2, height: 2, channels: 3 }],
    ["an array", { data: [1, 2, 3], width: 1, height: 1, channels: 3 }],
    ["no data", { data: null, width: 1, height: 1, channels: 3 }],
  ])("%s", async (_, input) => {
    expect((await failure(input)).code).toBe("image_invalid");
  });

  it("of a buffer that was transferred", async () => {
    const gone = new Uint8Array(12);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    expect((await failure({ data: gone, width: 2, height: 2, channels: 3 })).code).toBe("image_invalid");
    expect((await failure(gone)).code).toBe("image_unsupported");
    expect((await failure(gone.buffer)).code).toBe("image_unsupported");
  });

  it("of more than maxPixels", async () => {
    const input = { data: new Uint8Array(1), width: 60_000, height: 60_000, channels: 3 };
    expect((await failure(input)).code).toBe("image_too_large");
  });
});

describe("URLs", () => {
  const png = Buffer.from(read("rgb.png")).toString("base64");
  it.each([
    ["without a comma", `data:image/png;base64${png}`],
    ["not base64", "data:image/png;base64,***not base64***"],
    ["in the alphabet for URLs", `data:image/png;base64,${png.replaceAll("+", "-").replaceAll("/", "_")}`],
    ["cut within a group", "data:image/png;base64,iVBORw0KG"],
  ])("data: %s", async (_, url) => {
    const error = await failure(url);
    expect(error.code).toBe("image_invalid");
    expect(error.message).not.toContain(url.slice(22, 40));
  });

  it("data: that is no image", async () => {
    expect((await failure("data:image/png,raw")).code).toBe("image_unsupported");
    expect((await failure("data:image/png;base64,")).code).toBe("image_unsupported");
  });

  it("data: over maxBytes", async () => {
    const error = await failure(`data:image/png;base64,${"A".repeat(40_000)}`, { maxBytes: 10_000 });
    expect(error.code).toBe("image_too_large");
  });

  it.each(["ftp://example.org/a.png", "javascript:alert(1)", "gopher://example.org", "about:blank"])(
    "%s",
    async (url) => {
      expect((await failure(url)).code).toBe("image_invalid");
    },
  );

  it.each(["file://%", "http://", "https://[", "http://user:password@localhost/"])(
    "malformed: %s",
    async (url) => {
      const error = await failure(url);
      expect(error.code).toBe("file_unreadable");
      expect(error.message).not.toContain("password");
    },
  );
});

describe("files", () => {
  const folder = mkdtempSync(`${tmpdir()}/pictures-`);
  afterAll(() => rmSync(folder, { recursive: true }));

  it("missing", async () => {
    for (const path of [
      `${folder}/none.png`,
      new URL(`file://${folder}/none.png`),
      "",
      `${kind("rgb.png")}/x`,
    ]) {
      const error = await failure(path);
      expect(error.code).toBe("file_not_found");
    }
  });

  it("a folder, and a name that no file can have", async () => {
    expect((await failure(folder)).code).toBe("file_unreadable");
    expect((await failure(`${folder}/a\0b.png`)).code).toBe("file_unreadable");
  });

  it.skipIf(process.platform === "win32")("a pipe without a writer, and a device without end", async () => {
    execFileSync("mkfifo", [`${folder}/pipe.png`]);
    expect((await failure(`${folder}/pipe.png`)).code).toBe("file_unreadable");
    expect((await failure("/dev/zero")).code).toBe("file_unreadable");
  });

  it.skipIf(process.platform === "win32")("a link", async () => {
    symlinkSync(kind("rgb.png"), `${folder}/link.txt`);
    await expect(loadImage(`${folder}/link.txt`)).resolves.toMatchObject({ width: 45 });
    symlinkSync(`${folder}/loop`, `${folder}/loop`);
    expect((await failure(`${folder}/loop`)).code).toBe("file_unreadable");
  });

  it.skipIf(process.getuid?.() === 0 || process.platform === "win32")("no permission", async () => {
    writeFileSync(`${folder}/mine.png`, read("rgb.png"));
    chmodSync(`${folder}/mine.png`, 0);
    expect((await failure(`${folder}/mine.png`)).code).toBe("file_unreadable");
  });
});
