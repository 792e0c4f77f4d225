import { Florence2Error, quote } from "../../core/errors.ts";
import { checkPixels } from "./limits.ts";

/** A decoded image: 8-bit RGB pixels, [height, width, 3], sides in pixels. */
export interface RgbImage {
  data: Uint8Array;
  width: number;
  height: number;
}

/**
 * An image that the caller has decoded: 8-bit pixels, [height, width, channels] without padding. Channels:
 * 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; 4 when absent, as in an `ImageData`.
 */
export interface RawImage {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
  channels?: 1 | 2 | 3 | 4;
}

/** Red, green and blue, 0 to 255 each. */
export type Background = readonly [red: number, green: number, blue: number];

/** Throws `option_invalid` for what is no colour. */
export function checkBackground(colour: Background): Background {
  const isColour =
    Array.isArray(colour) &&
    colour.length === 3 &&
    colour.every((level) => Number.isInteger(level) && level >= 0 && level <= 255);
  if (isColour) return colour;
  throw new Florence2Error(
    "option_invalid",
    `background is ${quote(colour)}; allowed are three integers from 0 to 255, such as [255, 255, 255].`,
    { option: "background", found: colour },
  );
}

/** Copies the RGB pixels of `image`, alpha dropped. Throws `image_invalid` or `image_too_large`. */
export function rgbFromRaw(image: RawImage, maxPixels: number, background?: Background): RgbImage {
  const { data, width, height, channels = 4 } = image;
  for (const [name, value] of Object.entries({ width, height })) {
    if (!Number.isSafeInteger(value) || value < 1) throw invalid(`${name} ${value}`, "a positive integer");
  }
  if (![1, 2, 3, 4].includes(channels)) throw invalid(`channels ${channels}`, "1, 2, 3 or 4");
  checkPixels(width, height, maxPixels);
  if (!/^\[object Uint8(Clamped)?Array\]$/.test(Object.prototype.toString.call(data))) {
    throw invalid("data that is no Uint8Array or Uint8ClampedArray", "8-bit samples");
  }
  const length = width * height * channels;
  if (data.length !== length) {
    throw invalid(
      `${data.length} samples`,
      `width x height x channels = ${width} x ${height} x ${channels} = ${length}`,
    );
  }
  const rgb = keepRgb(data, channels, background);
  return { data: rgb.buffer === data.buffer ? rgb.slice() : rgb, width, height };
}

/**
 * Spreads grey over three channels and drops alpha, or lays the pixels over a background: Pillow's alpha_composite.
 * With three channels the result shares `data`'s memory.
 */
export function keepRgb(
  data: Uint8Array | Uint8ClampedArray,
  channels: number,
  background?: Background,
): Uint8Array {
  if (channels === 3) return new Uint8Array(data.buffer, data.byteOffset, data.length);
  const pixels = data.length / channels;
  const rgb = new Uint8Array(pixels * 3);
  const [green, blue] = channels < 3 ? [0, 0] : [1, 2];
  for (let i = 0; i < pixels; i++) {
    rgb[i * 3] = data[i * channels]!;
    rgb[i * 3 + 1] = data[i * channels + green]!;
    rgb[i * 3 + 2] = data[i * channels + blue]!;
    if (!background || channels % 2 === 1) continue;
    const alpha = data[i * channels + channels - 1]!;
    for (let c = 0; c < 3; c++) {
      const sum = rgb[i * 3 + c]! * alpha + background[c]! * (255 - alpha) + 128;
      // sum / 255, rounded, in integers.
      rgb[i * 3 + c] = ((sum >> 8) + sum) >> 8;
    }
  }
  return rgb;
}

function invalid(found: string, wanted: string): Florence2Error {
  return new Florence2Error("image_invalid", `The raw image has ${found}; it must have ${wanted}.`, {
    found,
    wanted,
  });
}
