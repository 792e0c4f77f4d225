export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** Boundaries are followed in steps of a fifth of a pixel. */
const STEPS_PER_PIXEL = 5;

/**
 * The pixels inside any of the polygons, bit for bit those of pycocotools (rleFrPoly in maskApi.c, then
 * merge): column after column, 1 inside. Polygons with fewer than three points cover nothing.
 *
 * @param polygons each x, y, x, y, ... in pixels
 */
export function rasterize(
  polygons: readonly (readonly number[])[],
  { width, height }: ImageSize,
): Uint8Array {
  const mask = new Uint8Array(width * height);
  for (const polygon of polygons) {
    if (polygon.length < 6) continue;
    const flips = new Uint8Array(width * height + 1);
    for (const at of crossings(polygon, width, height)) flips[at]! ^= 1;
    let isInside = 0;
    for (let i = 0; i < mask.length; i++) {
      isInside ^= flips[i]!;
      mask[i]! |= isInside;
    }
  }
  return mask;
}

/** Intersection over union of two masks of the same size; 1 if both are empty. */
export function maskOverlap(a: Uint8Array, b: Uint8Array): number {
  let [shared, union] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    shared += a[i]! & b[i]!;
    union += a[i]! | b[i]!;
  }
  return union === 0 ? 1 : shared / union;
}

/** Where the boundary crosses the middle line of a column: inside and outside change places from there on. */
function crossings(polygon: readonly number[], width: number, height: number): number[] {
  const found: number[] = [];
  const boundary = boundaryPoints(polygon);
  for (const [i, [x, y]] of boundary.entries()) {
    if (i === 0) continue;
    const [previousX, previousY] = boundary[i - 1]!;
    if (x === previousX) continue;
    const column = ((x < previousX ? x : x - 1) + 0.5) / STEPS_PER_PIXEL - 0.5;
    if (!Number.isInteger(column) || column < 0 || column > width - 1) continue;
    const row = (Math.min(y, previousY) + 0.5) / STEPS_PER_PIXEL - 0.5;
    found.push(column * height + Math.ceil(Math.min(Math.max(row, 0), height)));
  }
  return found;
}

/** Points along the closed boundary in fifths of a pixel, in steps of one along the longer axis. */
function boundaryPoints(polygon: readonly number[]): [x: number, y: number][] {
  const corners = polygon.map((value) => Math.trunc(STEPS_PER_PIXEL * value + 0.5));
  const points: [number, number][] = [];
  for (let i = 0; i + 1 < corners.length; i += 2) {
    const [x, y] = [corners[i]!, corners[i + 1]!];
    const [nextX, nextY] = [corners[(i + 2) % corners.length]!, corners[(i + 3) % corners.length]!];
    const [dx, dy] = [nextX - x, nextY - y];
    const steps = Math.max(Math.abs(dx), Math.abs(dy));
    const isFlat = Math.abs(dx) >= Math.abs(dy);
    // Each edge is walked in the direction in which its longer axis grows, so that rounding agrees.
    const isBackwards = isFlat ? dx < 0 : dy < 0;
    const [startX, startY] = isBackwards ? [nextX, nextY] : [x, y];
    const slope = steps === 0 ? 0 : (isBackwards ? -1 : 1) * ((isFlat ? dy : dx) / steps);
    for (let step = 0; step <= steps; step++) {
      const along = isBackwards ? steps - step : step;
      points.push(
        isFlat
          ? [startX + along, Math.trunc(startY + slope * along + 0.5)]
          : [Math.trunc(startX + slope * along + 0.5), startY + along],
      );
    }
  }
  return points;
}
