import type { Answer } from "../model/tasks/index.ts";

/** A place that an answer names: a box, a quad or a mask. */
export interface Mark {
  readonly label: string;
  readonly kind: "box" | "quad" | "mask";
  /** x, y, x, y, ... in pixels; a mask may have several parts. */
  readonly outlines: readonly (readonly number[])[];
  /** Confidence of the place, 0 to 1. */
  readonly score: number | undefined;
}

/** All places of an answer, boxes before masks; an answer in words alone has none. */
export function marksOf(answer: Answer): Mark[] {
  if (typeof answer === "string") return [];
  const marks: Mark[] = [];
  if ("bboxes" in answer) {
    const labels = "labels" in answer ? answer.labels : answer.bboxes_labels;
    for (const [i, [x1, y1, x2, y2]] of answer.bboxes.entries()) {
      const outlines = [[x1, y1, x2, y1, x2, y2, x1, y2]];
      marks.push({ label: labels[i] ?? "", kind: "box", outlines, score: answer.scores?.[i] });
    }
  }
  if ("quad_boxes" in answer) {
    for (const [i, quad] of answer.quad_boxes.entries()) {
      // Microsoft's parser leaves the start of the text in the first label.
      const label = (answer.labels[i] ?? "").replace("</s>", "");
      marks.push({ label, kind: "quad", outlines: [quad], score: answer.scores?.[i] });
    }
  }
  if ("polygons" in answer) {
    const [labels, scores] =
      "bboxes" in answer ? [answer.polygons_labels, answer.polygons_scores] : [answer.labels, answer.scores];
    for (const [i, outlines] of answer.polygons.entries()) {
      const parts = outlines.filter(({ length }) => length > 0);
      marks.push({ label: labels[i] ?? "", kind: "mask", outlines: parts, score: scores?.[i] });
    }
  }
  return marks.filter(({ outlines }) => outlines.length > 0);
}
