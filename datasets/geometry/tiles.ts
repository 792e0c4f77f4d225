import type { PixelEdges } from "./boxes.ts";
import type { ImageSize } from "./masks.ts";

/**
 * Squares that cover an image, for things too small to be seen in the whole of it. Neighbours overlap at least by
 * the given share; the last of a row lies at the edge. Row after row: `tilesOf({ width: 10, height: 6 }, 6, 0)`
 * → [0, 0, 6, 6], [4, 0, 10, 6].
 *
 * @param side of a tile in pixels; an image that is smaller is one tile
 * @param overlap share of the side, 0 to less than 1
 */
export function tilesOf({ width, height }: ImageSize, side: number, overlap = 0.2): PixelEdges[] {
  const across = starts(width, side, overlap);
  return starts(height, side, overlap).flatMap((top) =>
    across.map((left): PixelEdges => [left, top, Math.min(left + side, width), Math.min(top + side, height)]),
  );
}

/** Spread evenly from the one edge to the other. */
function starts(length: number, side: number, overlap: number): number[] {
  const way = length - side;
  if (way <= 0) return [0];
  const steps = Math.ceil(way / (side * (1 - overlap)));
  return Array.from({ length: steps + 1 }, (_, i) => Math.round((i * way) / steps));
}
