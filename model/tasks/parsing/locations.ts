// Coordinates are spoken in 1000 bins per axis: <loc_0> to <loc_999>.

import { Florence2Error } from "../../../core/errors.ts";

export const BINS = 1000;

/** Size in pixels of the picture as it was given, before any resizing. */
export type ImageSize = { readonly width: number; readonly height: number };

/** A box in pixels: its left, upper, right and lower edge. */
export type PixelBox = { readonly x1: number; readonly y1: number; readonly x2: number; readonly y2: number };

/**
 * "float": the float32 numbers, and the rules for labels, of Microsoft's processor. "integer": the truncated
 * numbers, and the rules, of transformers' own Florence-2.
 */
export type Coordinates = "float" | "integer";

/** Bin of a coordinate in pixels: floor, kept inside the picture (BoxQuantizer.quantize, mode "floor"). */
export function quantize(value: number, side: number): number {
  return Math.min(Math.max(Math.floor(value / (side / BINS)), 0), BINS - 1);
}

/** Centre of a bin in pixels, in float32 arithmetic (BoxQuantizer.dequantize). */
export function dequantize(bin: number, side: number, coordinates: Coordinates): number {
  const centre = Math.fround(Math.fround(bin + 0.5) * Math.fround(side / BINS));
  return coordinates === "integer" ? Math.trunc(centre) : centre;
}

/** Pixels of bins that alternate between x and y. */
export function dequantizePoints(
  bins: readonly number[],
  size: ImageSize,
  coordinates: Coordinates,
): number[] {
  return bins.map((bin, i) => dequantize(bin, i % 2 === 0 ? size.width : size.height, coordinates));
}

/** Throws `image_invalid` for a size that is no size. */
export function expectImageSize(size: ImageSize): void {
  const { width, height } = (size ?? {}) as Partial<ImageSize>;
  for (const [name, side] of Object.entries({ width, height })) {
    if (!Number.isInteger(side) || side! <= 0) {
      const message = `image size: ${name} is ${String(side)}, expected a positive whole number of pixels`;
      throw new Florence2Error("image_invalid", message, { width, height });
    }
  }
}

/** Throws `option_invalid` for another value, which JavaScript callers may give. */
export function expectCoordinates(coordinates: Coordinates): void {
  if (coordinates === "float" || coordinates === "integer") return;
  const message = `coordinates is ${JSON.stringify(coordinates)}, expected "float" or "integer"`;
  throw new Florence2Error("option_invalid", message, { coordinates });
}
