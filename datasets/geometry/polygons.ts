/** Signed by direction, in square pixels (shoelace formula): `signedArea([0, 0, 2, 0, 2, 1, 0, 1])` → 2. */
export function signedArea(points: readonly number[]): number {
  let twice = 0;
  for (let i = 0; i + 1 < points.length; i += 2) {
    const [nextX, nextY] = [points[(i + 2) % points.length]!, points[(i + 3) % points.length]!];
    twice += points[i]! * nextY - nextX * points[i + 1]!;
  }
  return twice / 2;
}

/** Area of a ring x, y, x, y, ... in square pixels. */
export function polygonArea(points: readonly number[]): number {
  return Math.abs(signedArea(points));
}

/** The ring in the direction of the clock as seen in the image, whose y axis goes down; its first point stays. */
export function clockwise(points: readonly number[]): number[] {
  if (signedArea(points) >= 0) return [...points];
  const turned = [points[0]!, points[1]!];
  for (let i = points.length - 2; i >= 2; i -= 2) turned.push(points[i]!, points[i + 1]!);
  return turned;
}

/**
 * Several rings as one, for formats that have one ring for a thing: from each to the next and back along the same
 * straight line, at the pair of points that lie nearest.
 */
export function joinRings(rings: readonly (readonly number[])[]): number[] {
  let [joined, ...others] = rings.map((ring) => [...ring]) as [number[], ...number[][]];
  for (const ring of others) {
    const [from, to] = nearestPoints(joined, ring);
    const turned = [...ring.slice(to), ...ring.slice(0, to), ring[to]!, ring[to + 1]!];
    const back = joined.slice(from, from + 2);
    joined = [...joined.slice(0, from + 2), ...turned, ...back, ...joined.slice(from + 2)];
  }
  return joined ?? [];
}

function nearestPoints(a: readonly number[], b: readonly number[]): [inA: number, inB: number] {
  let nearest: [number, number] = [0, 0];
  let min = Infinity;
  for (let i = 0; i + 1 < a.length; i += 2) {
    for (let j = 0; j + 1 < b.length; j += 2) {
      const distance = (a[i]! - b[j]!) ** 2 + (a[i + 1]! - b[j + 1]!) ** 2;
      if (distance < min) [min, nearest] = [distance, [i, j]];
    }
  }
  return nearest;
}
