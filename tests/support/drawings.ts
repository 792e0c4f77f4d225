/** Answers to draw, and what is found in a drawing. */
import type { BoxAnswer } from "../../model/tasks/index.ts";

export const size = { width: 400, height: 300 };
/** Every printable character of ASCII. */
export const ASCII = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
export const boxes = (labels: readonly string[], bboxes: readonly (readonly number[])[]): BoxAnswer => ({
  bboxes: bboxes as BoxAnswer["bboxes"],
  labels: [...labels],
  scores: labels.map((_, i) => 0.9 - 0.1 * i),
});

interface DrawnLabel {
  readonly text: string;
  readonly colour: string;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const attribute = (element: string, name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(element)?.[1];
export const pointsIn = (path: string): [number, number][] =>
  [...path.matchAll(/(-?[\d.]+) (-?[\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);

/** The labels of a drawing, their rectangles widened by their letters, so that both are looked at. */
export function labelsIn(svg: string): DrawnLabel[] {
  return [...svg.matchAll(/<g><title>([^<]*)<\/title>(<rect x=[^>]*>)(<path[^>]*>)<\/g>/g)].map(
    ([, text, rect, path]) => {
      const [x, y, width, height] = ["x", "y", "width", "height"].map((name) =>
        Number(attribute(rect!, name)),
      ) as [number, number, number, number];
      const letters = pointsIn(attribute(path!, "d")!);
      const [across, down] = [letters.map(([px]) => px), letters.map(([, py]) => py)];
      return {
        text: text!,
        colour: attribute(rect!, "fill")!,
        left: Math.min(x, ...across),
        top: Math.min(y, ...down),
        right: Math.max(x + width, ...across),
        bottom: Math.max(y + height, ...down),
      };
    },
  );
}

/** Red, green and blue of a colour written `#rrggbb`. */
export const rgb = (colour: string) =>
  [1, 3, 5].map((from) => Number.parseInt(colour.slice(from, from + 2), 16));
