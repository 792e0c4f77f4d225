import { Florence2Error } from "../../core/errors.ts";
import { hasFileSystem } from "../../core/platform.ts";
import { expectOptions } from "../option_names.ts";
import { captureInBrowser, decodeInBrowser } from "./browser.ts";
import { readBytes } from "./bytes.ts";
import { parseImageHeader } from "./header.ts";
import { checkBytes, checkLimits, checkPixels, type ImageLimits } from "./limits.ts";
import { type RawImage, type RgbImage, rgbFromRaw } from "./pixels.ts";
import { decodeWithSharp } from "./sharp.ts";

/**
 * A picture to look at: a path, a `file:`, `http(s):`, `blob:` or `data:` URL; an encoded file as bytes or
 * Blob; pixels, which are copied at once; in a browser also a canvas, video frame, bitmap or page element.
 * Bytes must stay unchanged until the promise settles.
 */
export type ImageInput = string | URL | Uint8Array | ArrayBuffer | Blob | RawImage | Drawable;

/** A page element, `ImageBitmap`, `OffscreenCanvas` or `VideoFrame`, by its shape: Node's types have no such names. */
export type Drawable =
  | { readonly nodeType: number; readonly nodeName: string; readonly ownerDocument: object | null }
  | { readonly width: number; readonly height: number; close(): void }
  | { readonly width: number; readonly height: number; transferToImageBitmap(): object }
  | { readonly displayWidth: number; readonly displayHeight: number; close(): void };

export interface LoadImageOptions extends ImageLimits {
  /** Stops reading; `loadImage` then rejects with the signal's reason. Decoding, once begun, runs through. */
  signal?: AbortSignal | undefined;
}

/**
 * Loads a picture as 8-bit RGB, upright: EXIF orientation is applied, and the size reported is that of the
 * upright picture. AVIF, GIF, JPEG, PNG, TIFF and WebP are told apart by their bytes; of several frames or
 * pages the first is taken. Colours are those of Pillow's `convert("RGB")`: alpha is dropped and not blended,
 * colour profiles are ignored, CMYK is converted without a profile, 16-bit colour keeps its high byte and
 * 16-bit grey is clipped to 255.
 *
 * A file of which only the end marker is missing is complete for PNG, GIF and TIFF; a JPEG must have it.
 *
 * Node and Deno decode with sharp: equal to Pillow bit for bit, except that AVIF differs by a level, and with
 * halved chroma by more along edges. Browsers use their own decoders, most of which read no TIFF, ignore the
 * orientation of a WebP, and scale 16-bit grey down instead of clipping it.
 *
 * Throws `Florence2Error` with code `image_unsupported` (another format), `image_corrupt` (cut off or
 * broken), `image_too_large` (over a limit; judged by the header, before decoding), `image_invalid` (no
 * picture at all, bad raw pixels, bad URL), `file_not_found`, `file_unreadable`, `dependency_missing` (no
 * sharp) or `option_invalid`.
 */
export async function loadImage(input: ImageInput, options: LoadImageOptions = {}): Promise<RgbImage> {
  expectOptions("loadImage", options);
  const { maxPixels, maxBytes } = checkLimits(options);
  const { signal } = options;
  signal?.throwIfAborted();
  if (isRawImage(input)) return rgbFromRaw(input, maxPixels);
  if (isDrawable(input)) return captureInBrowser(input as CanvasImageSource, maxPixels);

  const bytes = isEncoded(input) ? viewBytes(input) : await readBytes(asSource(input), maxBytes, signal);
  checkBytes(bytes.length, maxBytes);
  const header = parseImageHeader(bytes);
  checkPixels(header.width, header.height, maxPixels);
  signal?.throwIfAborted();
  return hasFileSystem ? decodeWithSharp(bytes, header) : decodeInBrowser(bytes, header);
}

const drawables = new Set(
  [
    "HTMLCanvasElement",
    "HTMLImageElement",
    "HTMLVideoElement",
    "ImageBitmap",
    "OffscreenCanvas",
    "SVGImageElement",
    "VideoFrame",
  ].map((name) => `[object ${name}]`),
);

/** By name, since the classes are missing outside browsers and differ between the windows of a page. */
function isDrawable(input: ImageInput): input is Drawable {
  return drawables.has(Object.prototype.toString.call(input));
}

function isRawImage(input: ImageInput): input is RawImage {
  return typeof input === "object" && input !== null && "data" in input;
}

function isEncoded(input: ImageInput): input is Uint8Array | ArrayBuffer {
  return input instanceof Uint8Array || input instanceof ArrayBuffer;
}

function viewBytes(input: Uint8Array | ArrayBuffer): Uint8Array {
  // A view of a detached buffer would be refused with an untyped error.
  if (input.byteLength === 0) return new Uint8Array();
  if (input instanceof ArrayBuffer) return new Uint8Array(input);
  // Decoders take no shared memory, which might change under them.
  return input.buffer instanceof ArrayBuffer ? input : input.slice();
}

function asSource(input: ImageInput): string | URL | Blob {
  if (typeof input === "string" || input instanceof URL || input instanceof Blob) return input;
  const found = Object.prototype.toString.call(input).slice("[object ".length, -1);
  throw new Florence2Error(
    "image_invalid",
    `A picture is a path, URL, Uint8Array, ArrayBuffer, Blob or { data, width, height, channels }, not ${found}.`,
    { found },
  );
}
