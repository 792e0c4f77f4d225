import { type ErrorCode, Florence2Error } from "../../core/errors.ts";
import {
  channels,
  type Field,
  field,
  integer,
  invalid,
  number,
  only,
  type Section,
  section,
  subsection,
} from "../../files/fields.ts";
import { isJsonObject, type JsonValue } from "../../files/json.ts";
import type { Florence2Config } from "./config.ts";

/** How images are prepared for a model. */
export interface ImageConfig {
  /** Pixels; images are stretched to this size (bicubic). */
  readonly width: number;
  readonly height: number;
  /** Whether images keep their own size instead (`do_resize` false). Default false. */
  readonly keepSize?: boolean;
  readonly rescaleFactor: number;
  /** Red, green, blue. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** The size to which images are stretched, in pixels: of a square, or width and height. */
export type InputSize = number | { readonly width: number; readonly height: number };

const PREPROCESSOR = "preprocessor_config.json";
const PROCESSOR = "processor_config.json";

/** The files that may say how images are prepared, as parsed JSON. */
export interface ImageConfigFiles {
  /** preprocessor_config.json, as transformers 4 and Microsoft's repositories have it. */
  readonly preprocessor?: JsonValue | undefined;
  /** processor_config.json, as transformers 5 writes it: the same fields under `image_processor`. */
  readonly processor?: JsonValue | undefined;
}

/**
 * Reads how images are prepared: from `image_processor` of processor_config.json if it is there, as transformers 5
 * does, else from preprocessor_config.json. What is absent has the value of the release. The task prompts in these
 * files are not read: they are part of this library.
 *
 * @returns undefined if neither file says anything of images
 * @throws {Florence2Error} config_invalid for resampling other than bicubic and for sizes other than a fixed width and
 *   height
 */
export function parseImageConfig({ preprocessor, processor }: ImageConfigFiles): ImageConfig | undefined {
  const nested = isJsonObject(processor) ? (processor.image_processor ?? undefined) : undefined;
  if (nested !== undefined) return parseImageProcessor(section(PROCESSOR, "image_processor.", nested));
  if (preprocessor !== undefined) return parseImageProcessor(section(PREPROCESSOR, "", preprocessor));
  return undefined;
}

/** The settings of the released models: 768 x 768 pixels, ImageNet's mean and standard deviation. */
export const RELEASED_IMAGE_CONFIG: ImageConfig = {
  width: 768,
  height: 768,
  rescaleFactor: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

function parseImageProcessor(config: Section): ImageConfig {
  const isOn = (key: string) => only(field(config, key), [true, false]) ?? true;
  only(field(config, "resample"), [3]);
  const { width, height } = sizeOf(config, "size");
  checkCrop(config, { width, height });
  const rescale = field(config, "rescale_factor");
  // Here null is no default: transformers would fail on it.
  if (config.values.rescale_factor === null) throw invalid({ ...rescale, value: null }, "a number");
  const factor = number(rescale, { fallback: RELEASED_IMAGE_CONFIG.rescaleFactor, min: 1e-6, max: 1 });
  const mean = channels(field(config, "image_mean"), RELEASED_IMAGE_CONFIG.mean, -1);
  const std = channels(field(config, "image_std"), RELEASED_IMAGE_CONFIG.std, 1e-6);
  const isNormalised = isOn("do_normalize");
  return {
    width,
    height,
    ...(!isOn("do_resize") && { keepSize: true }),
    rescaleFactor: isOn("do_rescale") ? factor : 1,
    mean: isNormalised ? mean : [0, 0, 0],
    std: isNormalised ? std : [1, 1, 1],
  };
}

/** A fixed size: { width, height } or, for a square, a number. */
function sizeOf(config: Section, key: string): { width: number; height: number } {
  const { value, where }: Field = field(config, key);
  if (value === undefined) return RELEASED_IMAGE_CONFIG;
  if (typeof value === "number") {
    const side = integer({ where, value });
    return { width: side, height: side };
  }
  const size = subsection(config, key);
  return { width: integer(field(size, "width")), height: integer(field(size, "height")) };
}

/** A crop of the size that images are stretched to takes nothing away. */
function checkCrop(config: Section, size: { width: number; height: number }): void {
  const isCropped = field(config, "do_center_crop");
  if (!(only(isCropped, [true, false]) ?? false)) return;
  const crop = sizeOf(config, "crop_size");
  if (crop.width !== size.width || crop.height !== size.height) throw invalid(isCropped, "false");
}

/** The configuration with the size at which one image is given to the model: a caller's, its own, or the model's. */
export function configFor(
  config: ImageConfig,
  image: { readonly width: number; readonly height: number },
  imageSize?: InputSize,
): ImageConfig {
  if (imageSize !== undefined) return { ...config, ...checkedImageSize(imageSize) };
  return config.keepSize ? { ...config, width: image.width, height: image.height } : config;
}

/** Checks a caller's `imageSize`. Throws option_invalid. */
export function checkedImageSize(size: InputSize): { width: number; height: number } {
  const { width, height } = typeof size === "number" ? { width: size, height: size } : size;
  for (const side of [width, height]) {
    if (Number.isInteger(side) && side > 0) continue;
    throw new Florence2Error(
      "option_invalid",
      `imageSize is ${JSON.stringify(size)}; allowed is a number of pixels, or { width, height }.`,
      { option: "imageSize", found: size },
    );
  }
  return { width, height };
}

/**
 * How many tokens an image becomes: 577 for 768 x 768 pixels. Throws config_invalid, or `code`, if its feature map has
 * more rows or columns than there are positions, or if its tokens leave no room for a prompt.
 */
export function countImageTokens(
  config: Florence2Config,
  image: { width: number; height: number },
  code: ErrorCode = "config_invalid",
): number {
  const { vision, projection, text } = config;
  const mapSide = (side: number) =>
    vision.patchSize.reduce(
      (map, size, s) => Math.floor((map + 2 * vision.patchPadding[s]! - size) / vision.patchStride[s]!) + 1,
      side,
    );
  const [columns, rows] = [mapSide(image.width), mapSide(image.height)];
  const max = projection.maxPositionEmbeddings;
  const shown = `An image of ${image.width} x ${image.height} pixels`;
  if (columns < 1 || rows < 1 || columns > max || rows > max) {
    throw new Florence2Error(
      code,
      `${shown} becomes a feature map of ${columns} x ${rows}; config.json allows 1 to ${max} each way.`,
      { expected: max, found: [columns, rows] },
    );
  }
  const tokens = projection.imageFeatureSource
    .map((source) => (source === "spatial_avg_pool" ? 1 : columns * rows))
    .reduce((sum, count) => sum + count);
  // The shortest prompt is its first and last token.
  if (tokens + 2 > text.maxPositionEmbeddings) {
    throw new Florence2Error(
      code,
      `${shown} becomes ${tokens} tokens, and a prompt has at least 2; ` +
        `text_config.max_position_embeddings of config.json allows ${text.maxPositionEmbeddings}.`,
      { expected: text.maxPositionEmbeddings, found: tokens },
    );
  }
  return tokens;
}
