/** Regions: boxes that are drawn, moved and sized inside an image, in whole pixels. */
import type { Box } from "../engines/engine.ts";

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The smallest side of a region. */
const LEAST = 1;

const clamp = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most);

/** The middle of an image: where a region begins. */
export function middleOf({ width, height }: Size): Box {
  const [across, down] = [Math.round(width / 4), Math.round(height / 4)];
  return fitted([across, down, width - across, height - down], { width, height });
}

/**
 * The box between two corners in any order, inside the image and at least a pixel wide and high.
 *
 * @example fitted([50, 40, -3, 10], { width: 30, height: 60 }) // [0, 10, 30, 40]
 */
export function fitted([x1, y1, x2, y2]: Box, { width, height }: Size): Box {
  const side = (a: number, b: number, length: number): [number, number] => {
    const low = clamp(Math.round(Math.min(a, b)), 0, Math.max(0, length - LEAST));
    return [low, clamp(Math.round(Math.max(a, b)), low + LEAST, Math.max(low + LEAST, length))];
  };
  const [left, right] = side(x1, x2, width);
  const [top, bottom] = side(y1, y2, height);
  return [left, top, right, bottom];
}

/** The box moved, as far as the image goes; its size stays. */
export function moved([x1, y1, x2, y2]: Box, dx: number, dy: number, { width, height }: Size): Box {
  const left = clamp(x1 + Math.round(dx), 0, width - (x2 - x1));
  const top = clamp(y1 + Math.round(dy), 0, height - (y2 - y1));
  return [left, top, left + (x2 - x1), top + (y2 - y1)];
}

/** The box with its lower right corner moved. */
export function sized([x1, y1, x2, y2]: Box, dx: number, dy: number, { width, height }: Size): Box {
  return [
    x1,
    y1,
    clamp(x2 + Math.round(dx), x1 + LEAST, width),
    clamp(y2 + Math.round(dy), y1 + LEAST, height),
  ];
}

/** What a key does to a region: arrows move it, with Shift they size it; Alt takes one pixel instead of 2 %. */
export function keyed(
  box: Box,
  { key, shiftKey, altKey }: Pick<KeyboardEvent, "key" | "shiftKey" | "altKey">,
  size: Size,
): Box | undefined {
  const directions: Readonly<Record<string, readonly [number, number]>> = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
  };
  const direction = directions[key];
  if (!direction) return undefined;
  const step = (length: number) => (altKey ? 1 : Math.max(1, Math.round(length / 50)));
  const [dx, dy] = [direction[0] * step(size.width), direction[1] * step(size.height)];
  return shiftKey ? sized(box, dx, dy, size) : moved(box, dx, dy, size);
}
