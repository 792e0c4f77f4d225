import { polygonArea } from "./polygons.ts";

type Point = readonly [x: number, y: number];

/**
 * Intersection over union of two quads, each taken as the convex hull of its corners.
 *
 * @param a eight numbers, x and y of each corner in pixels
 */
export function quadOverlap(a: readonly number[], b: readonly number[]): number {
  const [hullA, hullB] = [convexHull(pointsOf(a)), convexHull(pointsOf(b))];
  const shared = area(clip(hullA, hullB));
  const union = area(hullA) + area(hullB) - shared;
  return union > 0 ? shared / union : 0;
}

const area = (points: readonly Point[]) => polygonArea(points.flat());

function pointsOf(numbers: readonly number[]): Point[] {
  return numbers.flatMap((x, i) => (i % 2 === 0 ? [[x, numbers[i + 1]!] as const] : []));
}

/** Twice the signed area of the triangle: positive if c lies to the left of the way from a to b. */
function turn(a: Point, b: Point, c: Point): number {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}

/** Andrew's monotone chain; counter-clockwise, with the y axis upwards. */
function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (ordered: readonly Point[]): Point[] => {
    const chain: Point[] = [];
    for (const point of ordered) {
      while (chain.length >= 2 && turn(chain.at(-2)!, chain.at(-1)!, point) <= 0) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

/** The part of a polygon inside a convex one (Sutherland and Hodgman, 1974). */
function clip(polygon: readonly Point[], window: readonly Point[]): readonly Point[] {
  let inside = polygon;
  for (const [i, from] of window.entries()) {
    const to = window[(i + 1) % window.length]!;
    const subject = inside;
    inside = subject.flatMap((point, j) => {
      const previous = subject.at(j - 1)!;
      const [before, now] = [turn(from, to, previous), turn(from, to, point)];
      const crossing = (): Point => {
        const share = before / (before - now);
        return [
          previous[0] + share * (point[0] - previous[0]),
          previous[1] + share * (point[1] - previous[1]),
        ];
      };
      if (now >= 0) return before >= 0 ? [point] : [crossing(), point];
      return before >= 0 ? [crossing()] : [];
    });
  }
  return inside;
}
