import { boundsOf } from "../../datasets/geometry/boxes.ts";
import type { LabelledObject } from "../../datasets/labelled.ts";
import { marksOf } from "../../draw/marks.ts";
import type { Answer } from "../../model/tasks/index.ts";

/** The things that an answer locates, in pixels of what was shown. */
export function objectsOf(answer: unknown): LabelledObject[] {
  return marksOf(answer as Answer).map(({ label, kind, outlines, score }) => ({
    label,
    box: boundsOf(outlines.flat()),
    ...(score !== undefined && { score }),
    ...(kind === "quad" && { quad: outlines[0]! }),
    ...(kind === "mask" && { polygons: outlines }),
  }));
}

/** Text without special tokens. */
export function plainText(answer: string): string {
  return answer.replaceAll(/<loc_\d+>|<\/?s>|<pad>/g, "").trim();
}
