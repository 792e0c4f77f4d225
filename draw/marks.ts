import { type Answer, type DetectedObject, objectsOf } from "../model/tasks/index.ts";

/** An object as it is drawn: a box, a quad or a mask. */
export interface Mark {
  readonly label: string;
  readonly kind: "box" | "quad" | "mask";
  /** x, y, x, y, ... in pixels; a mask may have several parts. */
  readonly outlines: readonly (readonly number[])[];
  /** Confidence of the place, 0 to 1. */
  readonly score: number | undefined;
}

/** The marks of an answer or of objects; an answer in words alone has none. */
export function marksOf(answer: Answer | readonly DetectedObject[]): Mark[] {
  const objects = isObjects(answer) ? answer : objectsOf(answer);
  return objects.map(markOf).filter(({ outlines }) => outlines.flat().length > 0);
}

/** Whether objects are given and no answer. */
function isObjects(answer: unknown): answer is readonly DetectedObject[] {
  return Array.isArray(answer);
}

function markOf({ label, box, quad, polygons, score }: DetectedObject): Mark {
  if (polygons) return { label, kind: "mask", outlines: polygons, score };
  if (quad) return { label, kind: "quad", outlines: [quad], score };
  const [x1, y1, x2, y2] = box;
  return { label, kind: "box", outlines: [[x1, y1, x2, y1, x2, y2, x1, y2]], score };
}
