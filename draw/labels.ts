import { LINE_HEIGHT, textWidth, wrapText } from "./stroke_font.ts";

export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A label with its place, padding included. */
export interface Label extends Rectangle {
  readonly lines: readonly string[];
}

/** Space around a label's text, in capitals' heights. */
export const PADDING = 0.55;

/**
 * Places labels inside the image and next to their objects: above, below or in a corner, wherever they cover the
 * labels before them least.
 *
 * @param size height of a capital
 */
export function placeLabels(
  named: readonly { readonly text: string; readonly place: Rectangle }[],
  image: { readonly width: number; readonly height: number },
  size: number,
): Label[] {
  const labels: Label[] = [];
  for (const { text, place } of named) {
    const label = shapeLabel(text, place, image, size);
    const free = (limit: number, wanted: number) => Math.min(Math.max(wanted, 0), Math.max(limit, 0));
    const [right, bottom] = [place.left + place.width, place.top + place.height];
    const candidates = [place.top - label.height, bottom, place.top, bottom - label.height].flatMap((top) =>
      [place.left, right - label.width].map((left) => ({
        ...label,
        left: free(image.width - label.width, left),
        top: free(image.height - label.height, top),
      })),
    );
    const covered = candidates.map((candidate) =>
      labels.reduce((sum, other) => sum + sharedArea(candidate, other), 0),
    );
    labels.push(candidates[covered.indexOf(Math.min(...covered))]!);
  }
  return labels;
}

/** Breaks a text into as many lines as there is room for; three dots stand for the rest. */
function shapeLabel(
  text: string,
  place: Rectangle,
  image: { readonly width: number; readonly height: number },
  size: number,
): Omit<Label, "left" | "top"> {
  const margins = 2 * PADDING * size;
  const widest = Math.min(Math.max(place.width, 0.4 * image.width), image.width) - margins;
  const room = Math.max(1, Math.floor((image.height - margins - size) / (LINE_HEIGHT * size)) + 1);
  const wrapped = wrapText(text, size, widest);
  const lines = wrapped.slice(0, room);
  if (lines.length < wrapped.length) lines.push(`${lines.pop()!.slice(0, -3)}...`);
  return {
    lines,
    width: Math.max(...lines.map((line) => textWidth(line, size))) + margins,
    height: (1 + (lines.length - 1) * LINE_HEIGHT) * size + margins,
  };
}

function sharedArea(a: Rectangle, b: Rectangle): number {
  const across = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const down = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  return Math.max(0, across) * Math.max(0, down);
}
