/** Kinds of images that are no encoded files: pixels, page elements, instances of sharp. */
import { Florence2Error, messageOf } from "../../core/errors.ts";
import type { Drawable } from "./load.ts";
import type { RawImage } from "./pixels.ts";

/** The result of sharp's `toBuffer({ resolveWithObject: true })`, raw or encoded. */
export interface SharpOutput {
  readonly data: Uint8Array;
  readonly info: {
    readonly width: number;
    readonly height: number;
    readonly channels: number;
    readonly format?: string;
  };
}

/** An instance of sharp, whose operations run before the image is read. */
export interface SharpInstance {
  toBuffer(options: { readonly resolveWithObject: true }): Promise<SharpOutput>;
  clone(): SharpInstance;
  raw(): SharpInstance;
}

/** A `Response`, of any implementation. */
export interface ResponseLike {
  readonly ok: boolean;
  readonly status: number;
  readonly url: string;
  readonly body: ReadableStream<Uint8Array> | null;
  arrayBuffer(): Promise<ArrayBuffer>;
}

const tagOf = (input: unknown) => Object.prototype.toString.call(input).slice("[object ".length, -1);

const DRAWABLES = [
  "HTMLCanvasElement",
  "HTMLImageElement",
  "HTMLVideoElement",
  "ImageBitmap",
  "OffscreenCanvas",
  "SVGImageElement",
  "VideoFrame",
];

/** By name, since the classes are missing outside browsers and differ between the windows of a page. */
export function isDrawable(input: unknown): input is Drawable {
  return DRAWABLES.includes(tagOf(input));
}

/** Pixels: { data, width, height }, an `ImageData`, or { data, info } of sharp. */
export function isRawImage(input: unknown): input is RawImage | SharpOutput {
  return typeof input === "object" && input !== null && "data" in input;
}

export function isSharp(input: unknown): input is SharpInstance {
  const { toBuffer, clone, raw } = (typeof input === "object" ? (input ?? {}) : {}) as Partial<SharpInstance>;
  return [toBuffer, clone, raw].every((method) => typeof method === "function");
}

/** A `Response`, also of another implementation of fetch. */
export function isResponse(input: unknown): input is ResponseLike {
  const { arrayBuffer, status } = (typeof input === "object" ? (input ?? {}) : {}) as Partial<ResponseLike>;
  return typeof arrayBuffer === "function" && typeof status === "number";
}

export function isStream(input: unknown): input is ReadableStream<Uint8Array> {
  return tagOf(input) === "ReadableStream";
}

/** Pixels of any kind as { data, width, height, channels }. */
export function rawOf(input: RawImage | SharpOutput): RawImage {
  if (!("info" in input)) return input;
  const { data, info } = input;
  if (info.format !== undefined && info.format !== "raw") {
    throw new Florence2Error(
      "image_invalid",
      `The data of sharp are an encoded ${info.format} file. Pass data alone, or make them with raw().`,
      { format: info.format },
    );
  }
  return { data, width: info.width, height: info.height, channels: info.channels as 1 | 2 | 3 | 4 };
}

/** The pixels that an instance of sharp makes; the instance can be used again. */
export async function pixelsOfSharp(instance: SharpInstance, maxPixels: number): Promise<SharpOutput> {
  try {
    return await instance.clone().raw().toBuffer({ resolveWithObject: true });
  } catch (error) {
    const reason = messageOf(error).split("\n")[0];
    throw new Florence2Error("image_corrupt", `sharp cannot make the image: ${reason}`, { maxPixels }, error);
  }
}
