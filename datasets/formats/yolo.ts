/** Ultralytics' text files: a line for each thing, in shares of the image's width and height. */

import { Florence2Error } from "../../core/errors.ts";
import { boundsOf, cornersOf } from "../geometry/boxes.ts";
import { clockwise, joinRings } from "../geometry/polygons.ts";
import type { LabelledImage, LabelledObject } from "../labelled.ts";
import { splitEnding, stemsOf } from "../names.ts";
import { type Format, type OutputFile, splitsOf, type WriteOptions } from "./format.ts";

/** One line of a label file. */
export type YoloTask = "detect" | "segment" | "obb";

const yoloFormat = (name: string, about: string, task: YoloTask): Format => ({
  name,
  about,
  needsImages: true,
  *write(images, options): Generator<OutputFile> {
    const { classes, withImages = true } = options;
    const stems = stemsOf(filesOf(images));
    for (const image of images) {
      const split = image.split ?? "train";
      const stem = stems.get(image.file)!;
      const ending = splitEnding(image.file)[1];
      yield { path: `labels/${split}/${stem}.txt`, content: [yoloLabels(image, task, options)] };
      if (withImages) yield { path: `images/${split}/${stem}.${ending}`, content: { image: image.file } };
    }
    const splits = splitsOf(images).map((split) => split ?? "train");
    yield { path: "data.yaml", content: [dataYaml(classes, splits)] };
    yield { path: "classes.txt", content: classes.map((label) => `${label}\n`) };
  },
});

export const yolo = yoloFormat("yolo", "YOLO boxes: labels/*.txt, images/ and data.yaml", "detect");
export const yoloSegment = yoloFormat("yolo-seg", "YOLO outlines, one ring for each thing", "segment");
export const yoloObb = yoloFormat(
  "yolo-obb",
  "YOLO oriented boxes: four corners, as of lines of text",
  "obb",
);

/**
 * The label file of an image: `class x y width height` of each box, or `class x1 y1 x2 y2 ...` of each outline or
 * its four corners, clockwise. An image without things has an empty file: it is all background.
 */
export function yoloLabels(
  { objects, width, height }: LabelledImage,
  task: YoloTask,
  { classes, confidenceColumn = false }: WriteOptions,
): string {
  const lines = objects.flatMap((object) => {
    const points = pointsOf(object, task).map((value, i) => value / (i % 2 === 0 ? width : height));
    const columns = points.map((share) => Math.min(Math.max(share, 0), 1).toFixed(6));
    if (confidenceColumn) columns.push((object.score ?? 1).toFixed(6));
    return [`${[classes.indexOf(object.label), ...columns].join(" ")}\n`];
  });
  return lines.join("");
}

function pointsOf({ box, polygons, quad }: LabelledObject, task: YoloTask): readonly number[] {
  if (task === "detect") {
    const [left, top, right, bottom] = box;
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top];
  }
  if (task === "obb") return clockwise(quad ?? cornersOf(box));
  return polygons && polygons.length > 0 ? joinRings(polygons) : (quad ?? cornersOf(box));
}

/**
 * The file that names the parts and classes. Without a part for validation, the one for training stands for it. It
 * names no folder: Ultralytics then takes the one that the file is in, wherever it is read from.
 */
export function dataYaml(classes: readonly string[], splits: readonly string[]): string {
  const train = splits.includes("train") ? "train" : splits[0];
  const val = splits.includes("val") ? "val" : train;
  return [
    `train: images/${train}\n`,
    `val: images/${val}\n`,
    ...(splits.includes("test") ? ["test: images/test\n"] : []),
    `nc: ${classes.length}\n`,
    "names:\n",
    // A text of JSON is one of YAML, whatever characters it has.
    ...classes.map((label, i) => `  ${i}: ${JSON.stringify(label)}\n`),
  ].join("");
}

/** The classes of a `data.yaml`: names as a list, in brackets, or by number. */
export function readDataYaml(content: string, file: string): string[] {
  const lines = content.split(/\r?\n/);
  const at = lines.findIndex((line) => /^names\s*:/.test(line));
  if (at < 0) throw new Florence2Error("data_invalid", `${file} has no names of classes.`, { file });
  const inline = /^names\s*:\s*\[(.*)\]\s*$/.exec(lines[at]!);
  if (inline)
    return (inline[1]!.match(/"(?:[^"\\]|\\.)*"|'[^']*'|[^,]+/g) ?? []).map(unquote).filter(Boolean);
  const names: string[] = [];
  for (const line of lines.slice(at + 1)) {
    const entry = /^\s*(?:-|(\d+)\s*:)\s*(.*)$/.exec(line);
    if (!entry) break;
    names[entry[1] === undefined ? names.length : Number(entry[1])] = unquote(entry[2]!);
  }
  return names;
}

function unquote(text: string): string {
  const trimmed = text.trim();
  if (trimmed.startsWith('"')) return JSON.parse(trimmed) as string;
  return trimmed.startsWith("'") ? trimmed.slice(1, -1).replaceAll("''", "'") : trimmed;
}

/**
 * Reads a label file: boxes of 5 columns (6 with a confidence), oriented boxes of 9, other odd counts as outlines.
 *
 * @param file its name in messages
 * @throws {Florence2Error} `data_invalid` with file and line
 */
export function readYoloLabels(
  content: string,
  file: string,
  { width, height }: { readonly width: number; readonly height: number },
  classes: readonly string[],
): LabelledObject[] {
  return content.split(/\r?\n/).flatMap((line, i) => {
    if (line.trim() === "") return [];
    const [category, ...shares] = line.trim().split(/\s+/).map(Number) as [number, ...number[]];
    const label = classes[category];
    const isShape = shares.length === 4 || shares.length === 5 || shares.length >= 6;
    if (label === undefined || !isShape || shares.some((share) => !(share >= 0 && share <= 1))) {
      const message = `${file}, line ${i + 1}: expected a class below ${classes.length} and numbers from 0 to 1, found ${line.trim()}`;
      throw new Florence2Error("data_invalid", message, { file, line: i + 1 });
    }
    if (shares.length > 5) {
      const ring = shares.map((share, k) => share * (k % 2 === 0 ? width : height));
      const shape = shares.length === 8 ? { quad: ring } : { polygons: [ring] };
      return [{ label, box: boundsOf(ring), ...shape }];
    }
    const [x, y, w, h, score] = shares as [number, number, number, number, number?];
    const box = [
      (x - w / 2) * width,
      (y - h / 2) * height,
      (x + w / 2) * width,
      (y + h / 2) * height,
    ] as const;
    return [{ label, box: [...box], ...(score !== undefined && { score }) }];
  });
}

function* filesOf(images: Iterable<LabelledImage>): Generator<string> {
  for (const { file } of images) yield file;
}
