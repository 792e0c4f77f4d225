import type { ImageConfig } from "../config/config.ts";
import { type ImageInput, type LoadImageOptions, loadImage } from "./load.ts";
import { resizeBicubic } from "./resize.ts";

/** What a picture is to the model. */
export interface PreprocessedImage {
  /** Normalised colours, [3, config.height, config.width]. */
  pixelValues: Float32Array;
  /** Size of the upright picture in pixels, to which coordinates in the answer refer. */
  width: number;
  height: number;
}

/**
 * Loads a picture and turns it into the numbers that the model takes: stretched to the size of `config`
 * whatever its proportions, rescaled and normalised. From the decoded pixels on it equals transformers'
 * CLIPImageProcessorPil bit for bit. Throws what `loadImage` throws.
 */
export async function preprocessImage(
  input: ImageInput,
  config: ImageConfig,
  options?: LoadImageOptions,
): Promise<PreprocessedImage> {
  const { data, width, height } = await loadImage(input, options);
  const resized = resizeBicubic(data, width, height, config.width, config.height);
  return { pixelValues: normalise(resized, config), width, height };
}

/** [height, width, 3] pixels to [3, height, width] numbers. A pixel has 256 values: a table holds the results. */
function normalise(rgb: Uint8Array, config: ImageConfig): Float32Array {
  const pixels = rgb.length / 3;
  const result = new Float32Array(rgb.length);
  for (let channel = 0; channel < 3; channel++) {
    const mean = Math.fround(config.mean[channel]!);
    const std = Math.fround(config.std[channel]!);
    // Rescaled in double precision, then all in single precision, as NumPy does.
    const table = Float32Array.from(
      { length: 256 },
      (_, value) => Math.fround(Math.fround(value * config.rescaleFactor) - mean) / std,
    );
    const plane = result.subarray(channel * pixels, (channel + 1) * pixels);
    for (let i = 0; i < pixels; i++) plane[i] = table[rgb[i * 3 + channel]!]!;
  }
  return result;
}
