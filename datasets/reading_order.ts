import { boundsOf, cornersOf, type PixelEdges } from "./geometry/boxes.ts";
import type { LabelledImage, LabelledObject } from "./labelled.ts";

/** A line of text in an image. */
export interface TextLine {
  readonly text: string;
  /** Four corners, x and y of each: where the text begins above, where it ends above, and the same below, clockwise. */
  readonly quad: readonly number[];
  readonly box: PixelEdges;
  /** 0 to 1. */
  readonly score?: number;
}

/** A word, with its share of the line's quad. */
export type TextWord = Omit<TextLine, "score">;

/** The lines of an image as people read them: rows from top to bottom, in each from left to right. */
export function linesOf(image: LabelledImage): TextLine[] {
  return readingOrder(image.objects.flatMap(lineOf));
}

function lineOf({ text, label, box, quad, score }: LabelledObject): TextLine[] {
  const words = (text ?? label).replaceAll(/\s+/g, " ").trim();
  if (words === "") return [];
  return [{ text: words, box, quad: quad ?? cornersOf(box), ...(score !== undefined && { score }) }];
}

/**
 * Lines that overlap by more than half of the lower one's height stand in one row. Rows go from top to bottom,
 * lines in a row from left to right.
 */
export function readingOrder<T extends { readonly box: readonly number[] }>(lines: readonly T[]): T[] {
  const rows: T[][] = [];
  const middle = ({ box }: T) => (box[1]! + box[3]!) / 2;
  for (const line of [...lines].sort((a, b) => middle(a) - middle(b))) {
    const row = rows.at(-1);
    if (row && sharesRow(row[0]!.box, line.box)) row.push(line);
    else rows.push([line]);
  }
  return rows.flatMap((row) => row.sort((a, b) => a.box[0]! - b.box[0]!));
}

function sharesRow(a: readonly number[], b: readonly number[]): boolean {
  const shared = Math.min(a[3]!, b[3]!) - Math.max(a[1]!, b[1]!);
  return shared > 0.5 * Math.min(a[3]! - a[1]!, b[3]! - b[1]!);
}

/**
 * The words of a line. The model gives lines only: each word gets the part of the quad that belongs to its
 * characters, as if all were equally wide.
 */
export function wordsOf({ text, quad }: TextLine): TextWord[] {
  const length = [...text].length;
  const between = (from: number, to: number, share: number) =>
    [0, 1].map((axis) => quad[2 * from + axis]! + share * (quad[2 * to + axis]! - quad[2 * from + axis]!));
  let at = 0;
  return text.split(" ").map((word) => {
    const [start, end] = [at / length, (at + [...word].length) / length];
    at += [...word].length + 1;
    const own = [
      ...between(0, 1, start),
      ...between(0, 1, end),
      ...between(3, 2, end),
      ...between(3, 2, start),
    ];
    return { text: word, quad: own, box: boundsOf(own) };
  });
}
