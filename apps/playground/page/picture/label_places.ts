import type { Size } from "./geometry.ts";

/** A label of a size, and the edges of the thing that it names: left, top, right, bottom. */
export interface WantedLabel extends Size {
  readonly anchor: readonly [number, number, number, number];
}

export interface Place {
  readonly left: number;
  readonly top: number;
}

/**
 * Places labels inside the room: above their things, else below or inside them, wherever they cover the labels
 * before them least.
 *
 * @example placeLabels([{ width: 20, height: 10, anchor: [5, 30, 40, 60] }], { width: 99, height: 99 })
 * // [{ left: 5, top: 20 }]
 */
export function placeLabels(labels: readonly WantedLabel[], room: Size): Place[] {
  const placed: (Place & Size)[] = [];
  for (const { width, height, anchor } of labels) {
    const [left, top, right, bottom] = anchor;
    const inside = (value: number, most: number) => Math.min(Math.max(value, 0), Math.max(0, most));
    const candidates = [top - height, bottom, top, bottom - height].flatMap((y) =>
      [left, right - width].map((x) => ({
        left: inside(x, room.width - width),
        top: inside(y, room.height - height),
        width,
        height,
      })),
    );
    const covered = candidates.map((one) => placed.reduce((sum, other) => sum + shared(one, other), 0));
    placed.push(candidates[covered.indexOf(Math.min(...covered))]!);
  }
  return placed.map(({ left, top }) => ({ left, top }));
}

function shared(a: Place & Size, b: Place & Size): number {
  const across = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const down = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  return Math.max(0, across) * Math.max(0, down);
}
