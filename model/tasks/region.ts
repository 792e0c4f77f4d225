import { Florence2Error, quote } from "../../core/errors.ts";
import { BINS, expectImageSize, type ImageSize, quantize } from "./parsing/rules.ts";

/** A box in pixels: its left, upper, right and lower edge. */
export type PixelBox = { readonly x1: number; readonly y1: number; readonly x2: number; readonly y2: number };

/** A box in pixels of the image as seen, as answers have it or by names. */
export type Region = PixelBox | readonly [x1: number, y1: number, x2: number, y2: number];

/** Rounding in other programs' boxes: pixels beyond the image's edge that need no warning. */
const SLACK = 1;

/** The edges of a region by name, or undefined for a value that is no region. */
export function pixelBoxOf(region: unknown): PixelBox | undefined {
  const edges = Array.isArray(region) ? region : edgesOf(region);
  if (edges.length !== 4 || !edges.every(Number.isFinite)) return undefined;
  const [x1, y1, x2, y2] = edges as [number, number, number, number];
  return { x1, y1, x2, y2 };
}

function edgesOf(region: unknown): unknown[] {
  const { x1, y1, x2, y2 } = (region ?? {}) as Partial<PixelBox>;
  return [x1, y1, x2, y2];
}

/**
 * The location tags of a region. A region that reaches beyond the image is cut at its edges, with a warning.
 *
 *     regionTags([33.6, 159.6, 596.8, 371.7], { width: 640, height: 480 }, warn)
 *     // "<loc_52><loc_332><loc_932><loc_774>"
 *
 * @param region a box in pixels, or its tags
 * @throws {Florence2Error} `task_invalid` for anything else, for corners the wrong way round, and for a box outside
 *   the image
 */
export function regionTags(
  region: unknown,
  size: ImageSize | undefined,
  warn: (message: string) => void,
): string {
  const bins = typeof region === "string" ? binsOfTags(region) : binsOfBox(region, size, warn);
  if (bins === undefined) {
    throw invalid(
      `[x1, y1, x2, y2] or { x1, y1, x2, y2 } in pixels, or four tags <loc_0> to <loc_${BINS - 1}>`,
      region,
    );
  }
  const [x1, y1, x2, y2] = bins as [number, number, number, number];
  if (x2 < x1 || y2 < y1) throw invalid("its upper left corner first", region);
  return bins.map((bin) => `<loc_${bin}>`).join("");
}

function binsOfTags(text: string): number[] | undefined {
  const tags = /^(?:<loc_(?:0|[1-9][0-9]{0,2})>){4}$/;
  return tags.test(text.trim()) ? text.match(/[0-9]+/g)!.map(Number) : undefined;
}

function binsOfBox(
  region: unknown,
  size: ImageSize | undefined,
  warn: (message: string) => void,
): number[] | undefined {
  const box = pixelBoxOf(region);
  if (box === undefined) return undefined;
  if (size === undefined) throw invalid("the size of the image, for a box in pixels", undefined);
  expectImageSize(size);
  const { x1, y1, x2, y2 } = box;
  const { width, height } = size;
  const image = `the image of ${width} x ${height} pixels`;
  if (x2 < x1 || y2 < y1) throw invalid("its upper left corner first", region);
  if (x2 <= 0 || y2 <= 0 || x1 >= width || y1 >= height) throw invalid(`a box inside ${image}`, region);
  if (x1 < -SLACK || y1 < -SLACK || x2 > width + SLACK || y2 > height + SLACK) {
    warn(`The region ${quote(region)} reaches beyond ${image}; it is cut at the edges.`);
  }
  return [x1, y1, x2, y2].map((edge, i) => quantize(edge, i % 2 === 0 ? width : height));
}

function invalid(expected: string, region: unknown): Florence2Error {
  const found = region === undefined ? "none" : quote(region);
  return new Florence2Error("task_invalid", `a region needs ${expected}; found ${found}`, {
    region,
    expected,
  });
}
