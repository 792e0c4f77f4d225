/** Answers as they are kept: one line of JSON for each image, from which every format is made. */

import { boundsOf, type PixelEdges } from "./geometry/boxes.ts";
import type { LabelledImage, LabelledObject } from "./labelled.ts";

/** A question about an image. */
export interface Question {
  /** Tag of the task. */
  readonly task: string;
  /** The text of the question. */
  readonly text?: string;
  /** The region of the question, in pixels of the image. */
  readonly region?: PixelEdges;
  /** The part of the image that is shown; without one, all of it. */
  readonly view?: PixelEdges;
}

/** One answer with everything that is known of it. */
export interface StoredAnswer extends Question {
  /** In the shape of Microsoft's processor; coordinates count from the corner of the view. */
  readonly answer: unknown;
  /** As generated, with special tokens. */
  readonly rawText: string;
  readonly tokens: readonly number[];
  readonly score: number;
  /** `length`: the limit of tokens cut the answer off. */
  readonly finishReason: "stop" | "length";
  /** The things that it locates, in pixels of the image; for an answer in words none. */
  readonly objects: readonly LabelledObject[];
  /** An answer in words, without special tokens. */
  readonly words?: string;
}

/** A line of the file of answers. */
export interface ImageAnswers {
  /** Path from the folder of the images, with "/". */
  readonly file: string;
  /** Bytes of the image file: another number, another image. */
  readonly bytes: number;
  /** When the image file was written, in milliseconds since 1970. */
  readonly modified?: number;
  /** Of the image file, in hexadecimal digits: tells a copy, which has another time, from another image. */
  readonly sha256?: string;
  /** As seen, in pixels. */
  readonly width: number;
  readonly height: number;
  /** EXIF orientation, if the image is not stored upright. */
  readonly orientation?: number;
  /** The things that the questions were about, where they were given. */
  readonly given?: readonly LabelledObject[];
  /** The earlier content of the caption's file. */
  readonly existing?: string;
  readonly answers: readonly StoredAnswer[];
}

/**
 * The things and texts of an image's answers. An answer to the name of a thing counts if it names the same thing;
 * an answer about a region belongs to the thing in it: outlines, a description, what is written there.
 */
export function labelledFrom({ file, width, height, given = [], answers }: ImageAnswers): LabelledImage {
  const objects: LabelledObject[] = [...given];
  const words: string[] = [];
  for (const { text: name, region, objects: found, words: said, task } of answers) {
    if (region) {
      const at = objects.findIndex(({ box }) => box.every((edge, i) => edge === region[i]));
      const thing = objects[at] ?? { label: said ?? "", box: region };
      objects[at < 0 ? objects.length : at] = { ...thing, ...aboutRegion(found, said) };
    } else if (task === "<OCR_WITH_REGION>") {
      objects.push(...found.map((line) => ({ ...line, label: "text", text: line.label })));
    } else if (name !== undefined && task !== "<REFERRING_EXPRESSION_SEGMENTATION>") {
      objects.push(
        ...found.filter(({ label }) => isNamed(label, name)).map((thing) => ({ ...thing, label: name })),
      );
    } else {
      objects.push(...found.map((thing) => ({ ...thing, label: name ?? thing.label })));
    }
    if (said !== undefined && !region) words.push(said);
  }
  return { file, width, height, objects, ...(words.length > 0 && { text: words.join("\n") }) };
}

function aboutRegion(found: readonly LabelledObject[], said: string | undefined): Partial<LabelledObject> {
  const polygons = found.flatMap((object) => object.polygons ?? []);
  if (polygons.length > 0) return { polygons, box: boundsOf(polygons.flat()) };
  return said === undefined ? {} : { text: said };
}

/** Whether a label is what was asked for: articles and capitals aside. */
function isNamed(label: string, asked: string): boolean {
  const plain = (text: string) =>
    text
      .trim()
      .toLowerCase()
      .replace(/^(?:an?|the)\s+/, "")
      .replace(/[.\s]+$/, "");
  return plain(label) === plain(asked);
}
