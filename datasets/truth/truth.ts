/** The forms of truth, and how each is read from a plain JSONL file. Coordinates are pixels of the image. */

import { type Field, invalid, items, member, numbers, text, texts } from "../../files/fields.ts";
import type { TaskToken } from "../../model/tasks/index.ts";
import type { Box } from "../geometry/boxes.ts";

export interface LabelledBoxes {
  /** Left, top, right, bottom of each. */
  readonly boxes: readonly Box[];
  /** One for each box. */
  readonly labels: readonly string[];
}

export interface TrueBoxes extends LabelledBoxes {
  /** COCO's areas of the outlines, one for each box. */
  readonly areas?: readonly number[];
  /** Which boxes stand for a crowd (COCO). */
  readonly crowds?: readonly boolean[];
  /** Labels that were asked for and are not there. */
  readonly absent?: readonly string[];
}

export interface TrueQuads {
  /** x and y of four corners. */
  readonly quads: readonly (readonly number[])[];
  /** The text of each. */
  readonly labels: readonly string[];
}

export interface TruePolygons {
  /** Instances of outlines, each x, y, x, y, ... */
  readonly polygons: readonly (readonly (readonly number[])[])[];
}

/** How the truth of each task is read; a task that is not here is read as a free prompt is. */
const readers: { readonly [T in TaskToken]?: (field: Field) => unknown } = {
  "<CAPTION>": texts,
  "<DETAILED_CAPTION>": texts,
  "<MORE_DETAILED_CAPTION>": texts,
  "<OCR>": text,
  "<OCR_WITH_REGION>": readQuads,
  "<OD>": readLabelledBoxes,
  "<DENSE_REGION_CAPTION>": readLabelledBoxes,
  "<REGION_PROPOSAL>": readBoxes,
  "<CAPTION_TO_PHRASE_GROUNDING>": readLabelledBoxes,
  "<REFERRING_EXPRESSION_SEGMENTATION>": readPolygons,
  "<OPEN_VOCABULARY_DETECTION>": readLabelledBoxes,
  "<REGION_TO_SEGMENTATION>": readPolygons,
  "<REGION_TO_CATEGORY>": text,
  "<REGION_TO_DESCRIPTION>": texts,
  "<REGION_TO_OCR>": text,
};

/**
 * Reads the truth of a task's prompt. The form follows from the task.
 *
 * @throws {Florence2Error} `data_invalid` with place and field
 */
export function readTruth(task: string, truth: Field): unknown {
  const read = Object.hasOwn(readers, task) ? readers[task as TaskToken] : undefined;
  return (read ?? readTextOrAnswers)(truth);
}

/** `{ boxes, labels }` */
function readLabelledBoxes(field: Field): TrueBoxes {
  const { boxes } = readBoxes(field);
  return { boxes, labels: labelsOf(field, boxes.length) };
}

/** `{ boxes }`; every label is empty. */
function readBoxes(field: Field): TrueBoxes {
  const expected = "four numbers x1, y1, x2, y2 with x1 <= x2 and y1 <= y2";
  const boxes = items(member(field, "boxes"), "a list of boxes").map((box) =>
    numbers(
      box,
      expected,
      ({ length, 0: x1, 1: y1, 2: x2, 3: y2 }) => length === 4 && x1! <= x2! && y1! <= y2!,
    ),
  );
  return { boxes, labels: boxes.map(() => "") };
}

/** `{ quads, labels }` */
function readQuads(field: Field): TrueQuads {
  const quads = items(member(field, "quads"), "a list of quads").map((quad) =>
    numbers(quad, "eight numbers, x and y of four corners", ({ length }) => length === 8),
  );
  return { quads, labels: labelsOf(field, quads.length) };
}

/** `{ polygons }` */
function readPolygons(field: Field): TruePolygons {
  const polygons = items(member(field, "polygons"), "a list of instances").map((instance) =>
    items(instance, "a list of outlines").map((outline) =>
      numbers(
        outline,
        "an even number of numbers, at least six",
        ({ length }) => length >= 6 && length % 2 === 0,
      ),
    ),
  );
  return { polygons };
}

/** One text or several; a list of texts for a question that several people answered. */
function readTextOrAnswers(field: Field): string | readonly string[] {
  return typeof field.value === "string" ? field.value : texts(field);
}

function labelsOf(field: Field, count: number): string[] {
  const labels = member(field, "labels");
  const found = items(labels, "a list of labels").map(text);
  if (found.length !== count) throw invalid(labels, `${count} labels, as many as there are shapes`);
  return found;
}
