import { Florence2Error } from "../../core/errors.ts";
import { hasFileSystem } from "../../core/platform.ts";
import { expectOptions } from "../option_names.ts";
import { decodeBmp } from "./bmp.ts";
import { captureInBrowser, decodeInBrowser } from "./browser.ts";
import { bytesOf, nameOf } from "./bytes.ts";
import { type ImageHeader, parseImageHeader } from "./header.ts";
import {
  isDrawable,
  isRawImage,
  isSharp,
  pixelsOfSharp,
  type ResponseLike,
  rawOf,
  type SharpInstance,
  type SharpOutput,
} from "./inputs.ts";
import { checkBytes, checkLimits, checkPixels, type ImageLimits } from "./limits.ts";
import { type Background, checkBackground, type RawImage, type RgbImage, rgbFromRaw } from "./pixels.ts";
import { decodeWithSharp } from "./sharp.ts";

/**
 * An image to look at: a path, a `file:`, `http(s):`, `blob:` or `data:` URL; an encoded file as bytes, Blob,
 * `Response` or stream; pixels, which are copied at once, also as sharp gives them, or an instance of sharp; in a browser
 * also a canvas, video frame, bitmap or page element. Bytes must stay unchanged until the promise settles.
 */
export type ImageInput =
  | string
  | URL
  | Uint8Array
  | ArrayBuffer
  | Blob
  | RawImage
  | SharpOutput
  | SharpInstance
  | ResponseLike
  | ReadableStream<Uint8Array>
  | Drawable;

/** A page element, `ImageBitmap`, `OffscreenCanvas` or `VideoFrame`, by its shape: Node's types have no such names. */
export type Drawable =
  | { readonly nodeType: number; readonly nodeName: string; readonly ownerDocument: object | null }
  | { readonly width: number; readonly height: number; close(): void }
  | { readonly width: number; readonly height: number; transferToImageBitmap(): object }
  | { readonly displayWidth: number; readonly displayHeight: number; close(): void };

export interface LoadImageOptions extends ImageLimits {
  /**
   * The colour under transparent parts: red, green and blue from 0 to 255. Default: alpha is dropped, as by the
   * reference, and a transparent pixel shows the colour that the file has for it.
   */
  background?: Background | undefined;
  /** Stops reading; `loadImage` then rejects with the signal's reason. Decoding, once begun, runs through. */
  signal?: AbortSignal | undefined;
}

/**
 * Loads an image as 8-bit RGB, upright: EXIF orientation is applied, and the size reported is that of the
 * upright image. AVIF, BMP, GIF, JPEG, PNG, TIFF and WebP are told apart by their bytes; of several frames or
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
 * image at all, bad raw pixels, bad URL), `file_not_found`, `file_unreadable`, `dependency_missing` (no
 * sharp) or `option_invalid`.
 */
export async function loadImage(input: ImageInput, options: LoadImageOptions = {}): Promise<RgbImage> {
  expectOptions("loadImage", options);
  const { maxPixels, maxBytes } = checkLimits(options);
  const { signal } = options;
  signal?.throwIfAborted();
  const background = options.background && checkBackground(options.background);
  if (isRawImage(input)) return rgbFromRaw(rawOf(input), maxPixels, background);
  if (isDrawable(input)) return captureInBrowser(input as CanvasImageSource, maxPixels, background);
  if (isSharp(input)) return rgbFromRaw(rawOf(await pixelsOfSharp(input, maxPixels)), maxPixels, background);
  try {
    const bytes = await bytesOf(input, maxBytes, signal);
    checkBytes(bytes.length, maxBytes);
    const header = parseImageHeader(bytes);
    checkPixels(header.width, header.height, maxPixels);
    signal?.throwIfAborted();
    return await decode(bytes, header, background);
  } catch (error) {
    throw named(error, input);
  }
}

async function decode(bytes: Uint8Array, header: ImageHeader, background?: Background): Promise<RgbImage> {
  if (header.format === "BMP") return decodeBmp(bytes);
  return hasFileSystem
    ? decodeWithSharp(bytes, header, background)
    : decodeInBrowser(bytes, header, background);
}

/** An error about the content of a file, with the file's name. */
function named(error: unknown, input: ImageInput): unknown {
  const name = nameOf(input);
  const isOfContent = error instanceof Florence2Error && error.code.startsWith("image_");
  if (!isOfContent || name === undefined || error.details.file !== undefined) return error;
  const details = { ...error.details, file: name };
  return new Florence2Error(error.code, `${name}: ${error.message}`, details, error.cause);
}
