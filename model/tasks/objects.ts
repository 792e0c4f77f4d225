import type { BoxOrPolygonAnswer } from "./open_vocabulary_detection.ts";
import type { BoxAnswer } from "./parsing/boxes.ts";
import type { PolygonAnswer } from "./parsing/polygons.ts";
import type { QuadAnswer } from "./parsing/quads.ts";

/** One object that an answer locates, in pixels of the image. */
export interface DetectedObject {
  /** Its name, description or text; "" for region proposals and most masks. */
  readonly label: string;
  /** Left, upper, right, lower edge; of a quad or mask, the box around it. */
  readonly box: readonly [x1: number, y1: number, x2: number, y2: number];
  /** exp(mean log-probability) of its location tokens, 0 to 1, where the tokens' probabilities are known. */
  readonly score?: number;
  /** Four corners of a line of text: x, y of the upper left one first, clockwise. */
  readonly quad?: readonly number[];
  /** Outlines of a mask, each x, y, x, y, ... */
  readonly polygons?: readonly (readonly number[])[];
}

/** An answer of places: any of the four shapes, or two of them together. */
type Places = Partial<BoxAnswer & QuadAnswer & PolygonAnswer & BoxOrPolygonAnswer>;

/** Whether an answer has lists of boxes, quads or masks. */
export function hasPlaces(answer: unknown): answer is Places {
  if (typeof answer !== "object" || answer === null) return false;
  const { bboxes, quad_boxes, polygons } = answer as Places;
  return [bboxes, quad_boxes, polygons].some(Array.isArray);
}

/**
 * The objects of an answer, boxes before quads before masks. An answer in words has none, and neither has a mask
 * without an outline.
 *
 *     objectsOf({ bboxes: [[1, 2, 3, 4]], labels: ["cat"], scores: [0.9] })
 *     // [{ label: "cat", box: [1, 2, 3, 4], score: 0.9 }]
 */
export function objectsOf(answer: unknown): DetectedObject[] {
  if (!hasPlaces(answer)) return [];
  const { bboxes = [], quad_boxes: quads = [], polygons: masks = [], labels = [], scores } = answer;
  // An answer of boxes and masks together names the labels of each.
  const boxLabels = answer.bboxes_labels ?? labels;
  const isMixed = answer.polygons_labels !== undefined;
  const maskLabels = answer.polygons_labels ?? labels;
  const maskScores = isMixed ? answer.polygons_scores : scores;
  return [
    ...bboxes.map((box, i) => object(boxLabels[i], box, scores?.[i])),
    ...quads.map((quad, i) => ({ ...object(labels[i], boxAround(quad), scores?.[i]), quad })),
    ...masks.flatMap((outlines, i) => {
      const polygons = outlines.filter(({ length }) => length > 0);
      if (polygons.length === 0) return [];
      return [{ ...object(maskLabels[i], boxAround(polygons.flat()), maskScores?.[i]), polygons }];
    }),
  ];
}

function object(label = "", box: DetectedObject["box"], score: number | undefined): DetectedObject {
  return { label, box, ...(score !== undefined && { score }) };
}

/** The smallest box around points x, y, x, y, ... */
function boxAround(points: readonly number[]): DetectedObject["box"] {
  let [x1, y1] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  let [x2, y2] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i + 1 < points.length; i += 2) {
    const [x, y] = [points[i]!, points[i + 1]!];
    [x1, y1, x2, y2] = [Math.min(x1, x), Math.min(y1, y), Math.max(x2, x), Math.max(y2, y)];
  }
  return [x1, y1, x2, y2];
}
