import { Florence2Error } from "../../core/errors.ts";

/** How much one image may cost. Both limits are checked before memory is allocated for the pixels. */
export interface ImageLimits {
  /** Most pixels (width x height) of an image. Default 100 million. */
  maxPixels?: number | undefined;
  /** Most bytes of an encoded image. Default 256 MiB. */
  maxBytes?: number | undefined;
}

const DEFAULT_MAX_PIXELS = 100_000_000;
const DEFAULT_MAX_BYTES = 256 * 2 ** 20;

/** Longest side of an image, in pixels: JPEG's own limit. It bounds the filter tables of the resizing. */
const MAX_SIDE = 65_535;

/** Fills in the defaults; throws `option_invalid` for a limit that is no positive integer. */
export function checkLimits({ maxPixels, maxBytes }: ImageLimits): Required<ImageLimits> {
  const limits = { maxPixels: maxPixels ?? DEFAULT_MAX_PIXELS, maxBytes: maxBytes ?? DEFAULT_MAX_BYTES };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new Florence2Error("option_invalid", `${name} is ${value}; it must be a positive integer.`, {
        [name]: value,
      });
    }
  }
  return limits;
}

/** Throws `image_too_large` for an image of `width` x `height` pixels over the limits. */
export function checkPixels(width: number, height: number, maxPixels: number): void {
  if (width > MAX_SIDE || height > MAX_SIDE) {
    throw new Florence2Error(
      "image_too_large",
      `The image has ${width} x ${height} pixels; a side may have at most ${MAX_SIDE}.`,
      { width, height, maxSide: MAX_SIDE },
    );
  }
  if (width * height > maxPixels) {
    throw new Florence2Error(
      "image_too_large",
      `The image has ${width} x ${height} = ${width * height} pixels; the limit maxPixels is ${maxPixels}.`,
      { width, height, maxPixels },
    );
  }
}

/** Throws `image_too_large` for an encoded image of `byteLength` bytes over the limit. */
export function checkBytes(byteLength: number, maxBytes: number): void {
  if (byteLength > maxBytes) {
    throw new Florence2Error(
      "image_too_large",
      `The encoded image has ${byteLength} bytes or more; the limit maxBytes is ${maxBytes}.`,
      { byteLength, maxBytes },
    );
  }
}
