import { afterEach, describe, expect, it, vi } from "vitest";
import { captureInBrowser, decodeInBrowser } from "../../model/image/browser.ts";

/** Two pixels with alpha, as a browser would decode them. */
const RGBA = Uint8ClampedArray.of(10, 20, 30, 255, 40, 50, 60, 0);
const header = { format: "PNG", width: 2, height: 1 } as const;

/** Stands in for the parts of a browser that are used; `contexts` are those it can make. */
function browserWith(contexts: Record<string, unknown>) {
  const bitmap = { width: 2, height: 1, close: vi.fn() };
  const createImageBitmap = vi.fn(async () => bitmap);
  const getContext = (kind: string) => contexts[kind] ?? null;
  vi.stubGlobal("createImageBitmap", createImageBitmap);
  vi.stubGlobal(
    "OffscreenCanvas",
    class {
      getContext = getContext;
    },
  );
  return { bitmap, createImageBitmap };
}

const canvas2d = { drawImage: () => {}, getImageData: () => ({ data: RGBA }) };

/** A WebGL context of which only the calls that return something matter. */
function webgl(maxTextureSize: number) {
  const answers: Record<string, unknown> = {
    getParameter: () => maxTextureSize,
    getError: () => 0,
    NO_ERROR: 0,
    getExtension: () => ({ loseContext: () => {} }),
    readPixels: (...args: unknown[]) => (args.at(-1) as Uint8Array).set(RGBA.map((value) => value + 1)),
  };
  return new Proxy(answers, { get: (target, name: string) => target[name] ?? (() => ({})) });
}

describe("images in a browser", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("are decoded upright, without premultiplied alpha or colour management", async () => {
    const { bitmap, createImageBitmap } = browserWith({ "2d": canvas2d });
    await decodeInBrowser(new Uint8Array(8), header);
    expect(createImageBitmap).toHaveBeenCalledWith(expect.any(Blob), {
      imageOrientation: "from-image",
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    });
    expect(bitmap.close).toHaveBeenCalledOnce();
  });

  it("are read through WebGL, which keeps the colour of transparent pixels", async () => {
    browserWith({ webgl2: webgl(4096), "2d": canvas2d });
    const { data, width, height } = await decodeInBrowser(new Uint8Array(8), header);
    expect([...data]).toEqual([11, 21, 31, 41, 51, 61]);
    expect([width, height]).toEqual([2, 1]);
  });

  it.each([
    ["is missing", {}],
    ["has too small textures", { webgl2: webgl(1) }],
  ])("are read through a 2D canvas where WebGL %s", async (_, contexts) => {
    browserWith({ ...contexts, "2d": canvas2d });
    const { data } = await decodeInBrowser(new Uint8Array(8), header);
    expect([...data]).toEqual([10, 20, 30, 40, 50, 60]);
  });

  it("cannot be read without either", async () => {
    const { bitmap } = browserWith({});
    await expect(decodeInBrowser(new Uint8Array(8), header)).rejects.toMatchObject({
      code: "dependency_missing",
    });
    expect(bitmap.close).toHaveBeenCalledOnce();
  });

  it.each([
    ["JPEG", "image_corrupt"],
    ["PNG", "image_corrupt"],
    ["AVIF", "image_unsupported"],
    ["TIFF", "image_unsupported"],
  ] as const)("that are %s and refused: %s", async (format, code) => {
    const { createImageBitmap } = browserWith({});
    createImageBitmap.mockRejectedValue(new DOMException("cannot decode", "InvalidStateError"));
    const promise = decodeInBrowser(new Uint8Array(8), { ...header, format });
    await expect(promise).rejects.toMatchObject({ code, details: { format, width: 2, height: 1 } });
  });

  it("may be elements of the page, within the limits", async () => {
    const { bitmap } = browserWith({ "2d": canvas2d });
    const element = {} as HTMLCanvasElement;
    expect([...(await captureInBrowser(element, 2)).data]).toEqual([10, 20, 30, 40, 50, 60]);
    await expect(captureInBrowser(element, 1)).rejects.toMatchObject({ code: "image_too_large" });
    expect(bitmap.close).toHaveBeenCalledTimes(2);
  });
});
