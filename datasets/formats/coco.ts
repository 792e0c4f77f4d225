/** COCO's format of detection and segmentation, and its format of results. */

import {
  type Field,
  hasMember,
  invalid,
  items,
  member,
  number,
  numbers,
  text,
  wholeFile,
} from "../../files/fields.ts";
import type { JsonValue } from "../../files/json.ts";
import type { PixelEdges } from "../geometry/boxes.ts";
import { encodeMask, type RunLengths, runsOf } from "../geometry/run_lengths.ts";
import { areaOf, type LabelledImage, type LabelledObject, maskOf } from "../labelled.ts";
import {
  type Format,
  type Images,
  partOf,
  rounded,
  separated,
  splitsOf,
  type WriteOptions,
} from "./format.ts";

export const coco: Format = {
  name: "coco",
  about: "COCO: annotations/instances_*.json, and results_*.json for pycocotools' loadRes",
  *write(images, options) {
    for (const split of splitsOf(images)) {
      const part = partOf(images, split);
      const suffix = split === undefined ? "" : `_${split}`;
      yield { path: `annotations/instances${suffix}.json`, content: writeCoco(part, options) };
      yield { path: `annotations/results${suffix}.json`, content: writeCocoResults(part, options) };
    }
    if (options.withImages) {
      for (const { file } of images) yield { path: `images/${file}`, content: { image: file } };
    }
  },
};

/**
 * A COCO file in pieces. Outlines are polygons, masks of crowds run lengths; quads are outlines; what has only a
 * box has an empty `segmentation`. Images and annotations are numbered from 1.
 */
export function* writeCoco(
  images: Images,
  { classes, firstCategoryId = 1 }: WriteOptions,
): Generator<string> {
  yield `{"info":{"description":"labelled with Florence-2"},"licenses":[],\n"categories":[`;
  yield* separated(
    classes.map((name, i) => JSON.stringify({ id: firstCategoryId + i, name, supercategory: "" })),
  );
  yield `],\n"images":[\n`;
  yield* separated(numbered(images, (image, id) => [imageEntry(image, id)]));
  yield `],\n"annotations":[\n`;
  const ids = categoryIds(classes, firstCategoryId);
  let annotation = 0;
  yield* separated(
    numbered(images, (image, imageId) =>
      image.objects.map((object) => {
        annotation++;
        return JSON.stringify({
          id: annotation,
          image_id: imageId,
          category_id: ids.get(object.label),
          bbox: bboxOf(object),
          area: rounded(areaOf(object, image)),
          segmentation: segmentationOf(object, image) ?? [],
          iscrowd: object.isCrowd ? 1 : 0,
          ...(object.score !== undefined && { score: object.score }),
          ...(object.text !== undefined && { attributes: { text: object.text } }),
        });
      }),
    ),
  );
  yield "]}\n";
}

/** The results of a detector, in pieces, as pycocotools' `loadRes` takes them: boxes, with masks as run lengths. */
export function* writeCocoResults(images: Images, options: WriteOptions): Generator<string> {
  const { classes, firstCategoryId = 1 } = options;
  const ids = categoryIds(classes, firstCategoryId);
  yield "[\n";
  yield* separated(
    numbered(images, (image, imageId) =>
      image.objects.map((object) =>
        JSON.stringify({
          image_id: imageId,
          category_id: ids.get(object.label),
          bbox: bboxOf(object),
          ...((object.polygons || object.mask) && { segmentation: encodeMask(maskOf(object, image), image) }),
          score: object.score ?? 1,
        }),
      ),
    ),
  );
  yield "]\n";
}

function* numbered(
  images: Images,
  entries: (image: LabelledImage, id: number) => readonly string[],
): Generator<string> {
  let id = 0;
  for (const image of images) yield* entries(image, ++id);
}

function imageEntry({ file, width, height, text: caption }: LabelledImage, id: number): string {
  return JSON.stringify({ id, file_name: file, width, height, ...(caption !== undefined && { caption }) });
}

function categoryIds(classes: readonly string[], first: number): Map<string, number> {
  return new Map(classes.map((name, i) => [name, first + i]));
}

function bboxOf({ box: [left, top, right, bottom] }: LabelledObject): number[] {
  return [left, top, right - left, bottom - top].map((value) => rounded(value, 3));
}

/** Polygons, or for crowds and masks run lengths. */
function segmentationOf(object: LabelledObject, image: LabelledImage): number[][] | RunLengths | undefined {
  const { polygons, quad, mask, isCrowd } = object;
  if (isCrowd && (polygons || mask)) {
    return { size: [image.height, image.width], counts: runsOf(maskOf(object, image)) };
  }
  if (mask) return encodeMask(maskOf(object, image), image);
  const rings = polygons ?? (quad && [quad]);
  return rings?.map((ring) => ring.map((value) => rounded(value)));
}

/**
 * Reads a COCO file of annotations, or one of results beside it.
 *
 * @param file its name in messages
 * @param results the parsed results file: its boxes take the place of the annotations
 * @throws {Florence2Error} `data_invalid`
 */
export function readCoco(value: JsonValue, file: string, results?: JsonValue): LabelledImage[] {
  const root = wholeFile(file, value, "data_invalid");
  const names = new Map<number, string>();
  for (const category of items(member(root, "categories"), "COCO's list of categories")) {
    names.set(number(member(category, "id")), text(member(category, "name")));
  }
  const images = new Map<number, LabelledImage & { objects: LabelledObject[] }>();
  for (const image of items(member(root, "images"), "COCO's list of images")) {
    images.set(number(member(image, "id")), {
      file: text(member(image, "file_name")),
      width: number(member(image, "width")),
      height: number(member(image, "height")),
      objects: [],
      ...(hasMember(image, "caption") && { text: text(member(image, "caption")) }),
    });
  }
  const annotations = results
    ? items(wholeFile(file, results, "data_invalid"), "COCO's list of results")
    : items(member(root, "annotations"), "COCO's list of annotations");
  for (const annotation of annotations) {
    const id = member(annotation, "image_id");
    const image = images.get(number(id));
    if (!image) throw invalid(id, "the id of an image of this file");
    const category = member(annotation, "category_id");
    const label = names.get(number(category));
    if (label === undefined) throw invalid(category, "the id of a category of this file");
    image.objects.push({ label, ...readAnnotation(annotation) });
  }
  return [...images.values()];
}

function readAnnotation(annotation: Field): Omit<LabelledObject, "label"> {
  const expected = "four numbers: left, top, width, height";
  const [left, top, width, height] = numbers(
    member(annotation, "bbox"),
    expected,
    ({ length }) => length === 4,
  ) as PixelEdges;
  const attributes = member(annotation, "attributes");
  return {
    box: [left, top, left + width, top + height],
    ...(hasMember(annotation, "score") && { score: number(member(annotation, "score")) }),
    ...readSegmentation(annotation),
    ...(hasMember(annotation, "iscrowd") && number(member(annotation, "iscrowd")) === 1 && { isCrowd: true }),
    ...(hasMember(attributes, "text") && { text: text(member(attributes, "text")) }),
  };
}

function readSegmentation(annotation: Field): Pick<LabelledObject, "polygons" | "mask"> {
  if (!hasMember(annotation, "segmentation")) return {};
  const segmentation = member(annotation, "segmentation");
  if (Array.isArray(segmentation.value)) {
    const isRing = ({ length }: readonly number[]) => length >= 6 && length % 2 === 0;
    const polygons = items(segmentation).map((ring) =>
      numbers(ring, "x and y of at least three points", isRing),
    );
    return polygons.length > 0 ? { polygons } : {};
  }
  const size = numbers(member(segmentation, "size"), "height and width", ({ length }) => length === 2);
  const counts = member(segmentation, "counts");
  const runs = typeof counts.value === "string" ? counts.value : items(counts).map((item) => number(item));
  return { mask: { size: size as [number, number], counts: runs } };
}
