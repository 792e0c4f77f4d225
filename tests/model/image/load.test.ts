import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type ImageInput, loadImage } from "../../../model/image/load.ts";
import type { RawImage } from "../../../model/image/pixels.ts";

interface DecodeCase {
  name: string;
  mode: string;
  width: number;
  height: number;
  sha256: string;
}

const folder = fileURLToPath(new URL("../../fixtures/pictures/", import.meta.url));
const cases: DecodeCase[] = JSON.parse(readFileSync(`${folder}pictures.json`, "utf8")).decode;
const kind = (name: string) => `${folder}kinds/${name}`;
const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
const expected = (name: string) => {
  const { width, height, sha256 } = cases.find((fixture) => fixture.name === name)!;
  return { width, height, sha256 };
};
const summary = async (input: ImageInput) => {
  const { data, width, height } = await loadImage(input);
  return { width, height, sha256: sha256(data) };
};

describe("decoding", () => {
  const exact = cases.filter(({ name }) => !name.endsWith(".avif"));
  it.each(exact)("$name ($mode) is Pillow's, bit for bit", async ({ name }) => {
    expect(await summary(kind(name))).toEqual(expected(name));
  });

  // AVIF stores YCbCr, and leaves its conversion to the decoder: libheif rounds otherwise than libavif, and
  // places halved chroma otherwise.
  const inexact = cases.filter(({ name }) => name.endsWith(".avif"));
  it.each(inexact)("$name ($mode) is close to Pillow's", async ({ name, width, height }) => {
    const image = await loadImage(kind(name));
    const reference = await loadImage(kind(`${name}.expected.png`));
    expect(image).toMatchObject({ width, height });
    const differences = image.data.map((value, i) => Math.abs(value - reference.data[i]!));
    const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
    if (name === "420.avif") expect(mean).toBeLessThan(5);
    else expect(Math.max(...differences)).toBeLessThanOrEqual(1);
  });

  it("sees one image in all orientations", async () => {
    for (const orientation of [2, 3, 4, 5, 6, 7, 8]) {
      const { width, height } = await loadImage(kind(`orientation-${orientation}.jpg`));
      expect([width, height]).toEqual(orientation < 5 ? [45, 31] : [31, 45]);
    }
    expect(expected("orientation-0.jpg")).toEqual(expected("orientation-1.jpg"));
    expect(expected("orientation-9.jpg")).toEqual(expected("orientation-1.jpg"));
  });

  it("gives the same result a hundred times at once", async () => {
    const results = await Promise.all(Array.from({ length: 100 }, () => summary(kind("420.jpg"))));
    for (const result of results) expect(result).toEqual(expected("420.jpg"));
  });
});

describe("inputs", () => {
  const name = "rgba.png";
  const bytes = new Uint8Array(readFileSync(kind(name)));
  const base64 = Buffer.from(bytes).toString("base64");
  const inputs: Record<string, () => ImageInput> = {
    path: () => kind(name),
    "file: URL": () => pathToFileURL(kind(name)),
    "file: URL as a string": () => pathToFileURL(kind(name)).href,
    "data: URL": () => `data:image/png;base64,${base64}`,
    "data: URL with the wrong media type": () => `DATA:text/html;charset=utf-8;base64,${base64}`,
    "data: URL with line ends": () => `data:;base64,${base64.replace(/(.{76})/g, "$1\n")}`,
    "data: URL in percent signs": () =>
      `data:,${Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")}`,
    Uint8Array: () => bytes,
    Buffer: () => readFileSync(kind(name)),
    "a view into a larger buffer": () => Uint8Array.of(1, 2, 3, ...bytes, 4).subarray(3, -1),
    "shared memory": () => {
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
      shared.set(bytes);
      return shared;
    },
    ArrayBuffer: () => bytes.slice().buffer,
    Blob: () => new Blob([bytes]),
    "Blob of the wrong type": () => new Blob([bytes], { type: "video/mp4" }),
  };
  it.each(Object.entries(inputs))("%s", async (_, input) => {
    expect(await summary(input())).toEqual(expected(name));
  });

  it("does not change the bytes it is given", async () => {
    for (const name of ["transparent.gif", "animated.avif"]) {
      const given = new Uint8Array(readFileSync(kind(name)));
      const before = given.slice();
      await loadImage(given);
      expect(given).toEqual(before);
    }
  });
});

describe("raw pixels", () => {
  const three = Uint8Array.of(10, 20, 30, 40, 50, 60);
  const rawInputs: [string, RawImage, number[]][] = [
    ["grey", { data: Uint8Array.of(7, 9), width: 1, height: 2, channels: 1 }, [7, 7, 7, 9, 9, 9]],
    [
      "grey and alpha",
      { data: Uint8Array.of(7, 0, 9, 255), width: 2, height: 1, channels: 2 },
      [7, 7, 7, 9, 9, 9],
    ],
    ["RGB", { data: three, width: 2, height: 1, channels: 3 }, [10, 20, 30, 40, 50, 60]],
    ["RGB and alpha", { data: Uint8Array.of(1, 2, 3, 0), width: 1, height: 1, channels: 4 }, [1, 2, 3]],
    ["like ImageData", { data: Uint8ClampedArray.of(1, 2, 3, 0), width: 1, height: 1 }, [1, 2, 3]],
    ["a view", { data: three.subarray(3), width: 1, height: 1, channels: 3 }, [40, 50, 60]],
  ];
  it.each(rawInputs)("%s", async (_, input, rgb) => {
    const { data, width, height } = await loadImage(input);
    expect([...data]).toEqual(rgb);
    expect([width, height]).toEqual([input.width, input.height]);
  });

  it("are copied before loadImage returns", async () => {
    const data = three.slice();
    const promise = loadImage({ data, width: 2, height: 1, channels: 3 });
    data.fill(0);
    expect([...(await promise).data]).toEqual([...three]);
  });
});

describe("downloads", () => {
  const jpeg = readFileSync(kind("420.jpg"));

  async function withServer(listener: RequestListener, use: (url: string) => Promise<void>): Promise<void> {
    const server = createServer(listener).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/cat.png?key=secret`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  it("takes the bytes, not the name and not the media type", async () => {
    const answer: RequestListener = (_, response) =>
      response.writeHead(200, { "content-type": "text/html" }).end(jpeg);
    await withServer(answer, async (url) => {
      expect(await summary(url)).toEqual(expected("420.jpg"));
      expect(await summary(new URL(url))).toEqual(expected("420.jpg"));
    });
  });

  it.each([
    [404, "file_not_found"],
    [410, "file_not_found"],
    [403, "file_unreadable"],
    [500, "file_unreadable"],
  ])("answers %i with %s, and keeps the query to itself", async (status, code) => {
    await withServer(
      (_, response) => response.writeHead(status).end(jpeg),
      async (url) => {
        const error = await loadImage(url).catch((error) => error);
        expect(error).toMatchObject({ code });
        expect(error.message).toContain(String(status));
        expect(error.message).not.toContain("secret");
      },
    );
  });

  it("stops at maxBytes, announced or not", async () => {
    let sent = 0;
    const endless: RequestListener = (_, response) => {
      const write = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536;
      };
      response.on("drain", write);
      write();
    };
    await withServer(endless, async (url) => {
      await expect(loadImage(url, { maxBytes: 1e6 })).rejects.toMatchObject({ code: "image_too_large" });
      expect(sent).toBeLessThan(50e6);
    });
    const announced: RequestListener = (_, response) =>
      response.writeHead(200, { "content-length": 5e9 }).write("x");
    await withServer(announced, async (url) => {
      await expect(loadImage(url)).rejects.toMatchObject({ code: "image_too_large" });
    });
  });

  it("reports a connection that breaks, and one that never was", async () => {
    const broken: RequestListener = (_, response) => {
      response.writeHead(200, { "content-length": jpeg.length });
      response.write(jpeg.subarray(0, 100), () => response.destroy());
    };
    let url = "";
    await withServer(broken, async (address) => {
      url = address;
      await expect(loadImage(url)).rejects.toMatchObject({ code: "file_unreadable" });
    });
    await expect(loadImage(url)).rejects.toMatchObject({ code: "file_unreadable" });
  });

  it("stops at a signal", async () => {
    const silent: RequestListener = (_, response) => response.writeHead(200).write("x");
    await withServer(silent, async (url) => {
      await expect(loadImage(url, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
        name: "TimeoutError",
      });
    });
    await expect(loadImage(kind("rgb.png"), { signal: AbortSignal.abort("enough") })).rejects.toBe("enough");
  });
});

describe("without sharp", () => {
  afterEach(() => {
    vi.doUnmock("sharp");
    vi.resetModules();
  });

  it("says how to get it, and still takes raw pixels", async () => {
    vi.resetModules();
    vi.doMock("sharp", () => {
      throw new Error("Cannot find package");
    });
    const { loadImage } = await import("../../../model/image/load.ts");
    const error = await loadImage(kind("rgb.png")).catch((error) => error);
    expect(error).toMatchObject({ code: "dependency_missing" });
    expect(error.message).toContain("npm install sharp");
    const image = await loadImage({ data: Uint8Array.of(1, 2, 3), width: 1, height: 1, channels: 3 });
    expect([...image.data]).toEqual([1, 2, 3]);
  });
});

interface CollectedCase {
  name: string;
  width: number;
  height: number;
  /** Absent where Pillow refuses the image. */
  sha256?: string;
}

const collected = process.env.FLORENCE2_PICTURES;
const reason = collected ? "" : " (skipped: FLORENCE2_PICTURES names no folder)";
describe.skipIf(!collected)(`real images${reason}`, () => {
  const collectedCases: CollectedCase[] = JSON.parse(readFileSync(`${folder}collected.json`, "utf8"));
  it.each(collectedCases)("$name", async ({ name, width, height, sha256 }) => {
    const path = `${collected}/${name}`;
    if (sha256) expect(await summary(path)).toEqual({ width, height, sha256 });
    else await expect(loadImage(path)).rejects.toMatchObject({ code: expect.stringMatching(/^image_/) });
  });
});
