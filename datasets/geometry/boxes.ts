import type { ImageSize } from "./masks.ts";

/** Left, top, right, bottom in pixels. */
export type Box = readonly number[];
/** The same, as functions here return it. */
export type PixelEdges = [left: number, top: number, right: number, bottom: number];

/** Area of a box, 0 if it is turned inside out: `boxArea([10, 10, 30, 20])` → 200. */
export function boxArea([left, top, right, bottom]: Box): number {
  return Math.max(0, right! - left!) * Math.max(0, bottom! - top!);
}

/** Intersection over union, 0 of boxes without an area: `boxOverlap([0, 0, 2, 1], [1, 0, 3, 1])` → 1 / 3. */
export function boxOverlap(a: Box, b: Box): number {
  const width = Math.min(a[2]!, b[2]!) - Math.max(a[0]!, b[0]!);
  const height = Math.min(a[3]!, b[3]!) - Math.max(a[1]!, b[1]!);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / (boxArea(a) + boxArea(b) - shared);
}

/** The part of a box inside an image: `clipBox([-5, 2, 8, 30], { width: 10, height: 20 })` → [0, 2, 8, 20]. */
export function clipBox([left, top, right, bottom]: Box, { width, height }: ImageSize): PixelEdges {
  const across = (value: number) => Math.min(Math.max(value, 0), width);
  const down = (value: number) => Math.min(Math.max(value, 0), height);
  return [across(left!), down(top!), across(right!), down(bottom!)];
}

/** The smallest box around points x, y, x, y, ...: `boundsOf([3, 1, 0, 5])` → [0, 1, 3, 5]. */
export function boundsOf(points: readonly number[]): PixelEdges {
  const bounds: PixelEdges = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i + 1 < points.length; i += 2) {
    bounds[0] = Math.min(bounds[0], points[i]!);
    bounds[1] = Math.min(bounds[1], points[i + 1]!);
    bounds[2] = Math.max(bounds[2], points[i]!);
    bounds[3] = Math.max(bounds[3], points[i + 1]!);
  }
  return bounds;
}

/** Corners clockwise from the upper left one: `cornersOf([1, 2, 3, 4])` → [1, 2, 3, 2, 3, 4, 1, 4]. */
export function cornersOf([left, top, right, bottom]: Box): number[] {
  return [left!, top!, right!, top!, right!, bottom!, left!, bottom!];
}
