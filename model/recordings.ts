/**
 * The three recordings that an answer is made of: what they compute, of tensors that others allocate. Nothing
 * here touches a device, so that they can also be compiled, counted or planned where no memory exists.
 */
import type { Recording } from "../core/recording.ts";
import { type Allocate, reshape, rows, type Tensor } from "../core/tensor.ts";
import { crossKeysValues, type DecoderState, decodeStep, encode, type TextWeights } from "./bart.ts";
import type { Florence2Config, TextConfig } from "./config/config.ts";
import type { ImageConfig } from "./config/image.ts";
import { visionTower } from "./davit.ts";
import type { GenerationSettings } from "./generation/options.ts";
import { positionOf, recordSearchStep, type SearchTensors } from "./generation/search.ts";
import { projectImage } from "./projector.ts";
import type { Weights } from "./weights/load_weights.ts";

/** Source lengths are rounded up to this, so that each image's part of a cache can be bound. */
const SOURCE_MULTIPLE = 64;

/**
 * From pixels to image tokens.
 *
 * @param pixels normalised (H·W, 4)
 * @returns image tokens (I, d), kept
 */
export function recordVision(
  rec: Recording,
  weights: Pick<Weights, "vision" | "projector">,
  pixels: Tensor,
  { width, height }: Pick<ImageConfig, "width" | "height">,
  config: Florence2Config,
): Tensor {
  const map = visionTower(rec, weights.vision, { x: pixels, height, width }, config.vision);
  return rec.keep(projectImage(rec, weights.projector, map, config.projection.imageFeatureSource));
}

/** The inputs and outputs of encoding one question. */
export interface EncodingTensors {
  /** (I, d). */
  readonly image: Tensor;
  /** u32 (n). */
  readonly prompt: Tensor;
  /** u32 (1), holding 0. */
  readonly start: Tensor;
  /** (layers, images · S, 2d). */
  readonly cross: Tensor;
}

/** From image tokens and a prompt to the keys and values of cross-attention, in rows of `cross` from `firstRow` on. */
export function recordEncoding(
  rec: Recording,
  weights: TextWeights,
  { image, prompt, start, cross }: EncodingTensors,
  firstRow: number,
  config: TextConfig,
): void {
  crossKeysValues(rec, weights, encode(rec, weights, image, prompt, start, config), cross, firstRow);
}

/** The caches of decoding besides those of the search. */
export type DecoderCaches = Pick<DecoderState, "lengths" | "layers">;

/**
 * One decoding step for all rows.
 *
 * @returns logits (R, V) of the next token
 */
export function recordStep(
  rec: Recording,
  weights: TextWeights,
  caches: DecoderCaches,
  search: SearchTensors,
  config: TextConfig,
): Tensor {
  const { tokens, ancestry } = search;
  return decodeStep(rec, weights, { ...caches, tokens, ancestry, position: positionOf(search) }, config);
}

/** One decoding step for all rows, and the step of their searches that chooses the tokens of the next. */
export function recordSearchedStep(
  rec: Recording,
  weights: TextWeights,
  caches: DecoderCaches,
  search: SearchTensors,
  config: TextConfig,
  settings: GenerationSettings,
): void {
  recordSearchStep(rec, recordStep(rec, weights, caches, search, config), search, settings);
}

/**
 * The keys and values that all steps read of the sources: (layers, images · S, 2d), S being the longest source
 * rounded up.
 */
export function crossCache(
  allocate: Allocate,
  sourceLengths: readonly number[],
  { decoderLayers, dModel }: TextConfig,
): Tensor {
  const source = Math.ceil(Math.max(...sourceLengths) / SOURCE_MULTIPLE) * SOURCE_MULTIPLE;
  return allocate("cross keys and values", [decoderLayers, sourceLengths.length * source, 2 * dModel]);
}

/** The caches of each decoder layer for R rows and `capacity` steps, beside its part of the cross cache. */
export function layerCaches(
  allocate: Allocate,
  cross: Tensor,
  images: number,
  R: number,
  capacity: number,
  { decoderLayers, dModel }: TextConfig,
): DecoderState["layers"] {
  const [, sources, columns] = cross.shape as [number, number, number];
  return Array.from({ length: decoderLayers }, (_, i) => ({
    keys: allocate(`layer ${i} keys`, [capacity, R, dModel]),
    values: allocate(`layer ${i} values`, [capacity, R, dModel]),
    cross: reshape(rows(cross, i, i + 1), [images, sources / images, columns]),
  }));
}
