/** Coordinates are spoken in 1000 bins per axis, `<loc_0>` to `<loc_999>`; labels stand before them. */
import { Florence2Error, quote } from "../../../core/errors.ts";

export const BINS = 1000;

/** Size of the image in pixels as it was given, before any resizing. */
export type ImageSize = { readonly width: number; readonly height: number };

/** "float": float32 numbers, as Microsoft's processor gives them. "integer": cut to whole pixels, as transformers' does. */
export type Coordinates = "float" | "integer";

/**
 * "clean": labels and texts without special tokens, in letters of all scripts. "microsoft": exactly those of Microsoft's
 * processor, which takes letters outside ASCII out of the labels of boxes and leaves some tokens in texts.
 * "transformers": exactly those of transformers' own Florence-2, which differ a little.
 */
export type Labels = "clean" | "microsoft" | "transformers";

/**
 * "confidence": how likely a place and its label are right. "place": how likely the place is, whatever its label.
 * "microsoft": exp(mean log-probability) of its location tokens, as Microsoft's code gives it; low even where the
 * place is right, since a location's probability is spread over its neighbours.
 */
export type Scores = "confidence" | "place" | "microsoft";

export type ParseOptions = {
  /** Numbers of an answer's coordinates. Default "float". */
  readonly coordinates?: Coordinates | undefined;
  /** Which rules labels and texts follow. Default "clean"; places are the same with all. */
  readonly labels?: Labels | undefined;
  /** Meaning of the scores. Default "confidence"; "microsoft" where only the tokens' probabilities are known. */
  readonly scores?: Scores | undefined;
};

/**
 * Bin of a coordinate in pixels: floor, kept inside the image (BoxQuantizer.quantize, mode "floor").
 *
 *     quantize(33.6, 640)  // 52
 */
export function quantize(value: number, side: number): number {
  return Math.min(Math.max(Math.floor(value / (side / BINS)), 0), BINS - 1);
}

/**
 * Centre of a bin in pixels, in float32 arithmetic (BoxQuantizer.dequantize).
 *
 *     dequantize(52, 640, "float")    // 33.599998474121094
 *     dequantize(52, 640, "integer")  // 33
 */
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
      const message = `image size: ${name} is ${quote(side)}, expected a positive whole number of pixels`;
      throw new Florence2Error("image_invalid", message, { width, height });
    }
  }
}

const COORDINATES: readonly Coordinates[] = ["float", "integer"];
export const SCORES: readonly Scores[] = ["confidence", "place", "microsoft"];
const LABELS: readonly Labels[] = ["clean", "microsoft", "transformers"];

/** The rules with their defaults. Throws `option_invalid` for other values, which JavaScript callers may give. */
export function rulesOf({
  coordinates = "float",
  labels = "clean",
  scores = "confidence",
}: ParseOptions): Required<{ [Option in keyof ParseOptions]: NonNullable<ParseOptions[Option]> }> {
  expectOneOf("coordinates", coordinates, COORDINATES);
  expectOneOf("labels", labels, LABELS);
  expectOneOf("scores", scores, SCORES);
  return { coordinates, labels, scores };
}

function expectOneOf(option: string, found: string, allowed: readonly string[]): void {
  if (allowed.includes(found)) return;
  const message = `${option} is ${quote(found)}, expected ${allowed.map(quote).join(" or ")}`;
  throw new Florence2Error("option_invalid", message, { option, found, allowed });
}
