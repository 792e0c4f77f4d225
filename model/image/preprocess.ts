import { Turns } from "../../core/turn.ts";
import { configFor, type ImageConfig, type InputSize } from "../config/image.ts";
import { type ImageInput, type LoadImageOptions, loadImage } from "./load.ts";
import type { RgbImage } from "./pixels.ts";
import { resizeBicubic } from "./resize.ts";

/** Red, green, blue and a zero: the kernels read channels in fours. */
export const PIXEL_CHANNELS = 4;

/** Options of calls that give an image to the model. */
export interface EncodeOptions extends LoadImageOptions {
  /**
   * The size to which the image is stretched, in pixels, in place of the model's: a number for a square, or
   * { width, height }. The model's table of positions bounds it.
   */
  readonly imageSize?: InputSize | undefined;
}

/** An image as the public API gives it, in the layout of transformers. */
export interface PreprocessedImage {
  /** Normalised colours (3, H, W), H and W being those of `config`. */
  pixelValues: Float32Array;
  /** Size of the upright image in pixels, to which coordinates in the answer refer. */
  width: number;
  height: number;
}

/** An image as the vision tower reads it. */
export interface ImagePixels {
  /** Normalised colours (H·W, PIXEL_CHANNELS), H and W being those of the configuration. */
  readonly pixels: Float32Array<ArrayBuffer>;
  /** With the H and W of these pixels. */
  readonly config: ImageConfig;
  /** Size of the upright image in pixels, to which coordinates in the answer refer. */
  readonly width: number;
  readonly height: number;
}

/**
 * Loads an image and turns it into the numbers that the model takes: stretched to the size of `imageConfig`
 * whatever its proportions, unless images keep their size, rescaled and normalised. From the decoded pixels on it equals transformers'
 * CLIPImageProcessorPil bit for bit.
 *
 * @throws what `loadImage` throws
 */
export async function preprocessImage(
  input: ImageInput,
  imageConfig: ImageConfig,
  options?: LoadImageOptions,
): Promise<PreprocessedImage> {
  const image = await loadImage(input, options);
  const config = configFor(imageConfig, image);
  const pixelValues = new Float32Array(3 * config.width * config.height);
  const stride = { pixel: 1, channel: config.width * config.height };
  await normalise(await resized(image, config), config, pixelValues, stride);
  return { pixelValues, width: image.width, height: image.height };
}

/** The same numbers in the layout of the vision tower. The event loop has its turns meanwhile. */
export async function pixelsOf(image: RgbImage, config: ImageConfig): Promise<ImagePixels> {
  const pixels = new Float32Array(PIXEL_CHANNELS * config.width * config.height);
  const stride = { pixel: PIXEL_CHANNELS, channel: 1 };
  await normalise(await resized(image, config), config, pixels, stride);
  return { pixels, config, width: image.width, height: image.height };
}

/** Planes (3, H, W) as pixels (H·W, PIXEL_CHANNELS). */
export function pixelsOfPlanes(planes: Float32Array): Float32Array<ArrayBuffer> {
  const count = planes.length / 3;
  const pixels = new Float32Array(count * PIXEL_CHANNELS);
  for (let channel = 0; channel < 3; channel++) {
    for (let i = 0; i < count; i++) pixels[i * PIXEL_CHANNELS + channel] = planes[channel * count + i]!;
  }
  return pixels;
}

const resized = ({ data, width, height }: RgbImage, config: ImageConfig) =>
  resizeBicubic(data, width, height, config.width, config.height);

/** Rescales and normalises pixels (H, W, 3). A colour has 256 values: a table holds the results. */
async function normalise(
  rgb: Uint8Array,
  config: ImageConfig,
  out: Float32Array,
  stride: { readonly pixel: number; readonly channel: number },
): Promise<void> {
  const turns = new Turns();
  const row = 3 * config.width;
  for (let channel = 0; channel < 3; channel++) {
    const mean = Math.fround(config.mean[channel]!);
    const std = Math.fround(config.std[channel]!);
    // Rescaled in double precision, then all in single precision, as NumPy does.
    const table = Float32Array.from(
      { length: 256 },
      (_, value) => Math.fround(Math.fround(value * config.rescaleFactor) - mean) / std,
    );
    for (let from = 0; from < rgb.length; from += row) {
      if (turns.areDue) await turns.take();
      const first = (from / 3) * stride.pixel + channel * stride.channel;
      lookUp(table, rgb.subarray(from + channel, from + row), out.subarray(first), stride.pixel);
    }
  }
}

/** Every third of some levels by a table, each `step` numbers from the one before it. */
function lookUp(table: Float32Array, levels: Uint8Array, out: Float32Array, step: number): void {
  for (let i = 0, to = 0; i < levels.length; i += 3, to += step) out[to] = table[levels[i]!]!;
}
