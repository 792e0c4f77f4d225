/** Left, top, right, bottom in pixels. */
export type Box = readonly number[];

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
