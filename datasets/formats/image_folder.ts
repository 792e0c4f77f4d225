/** `imagefolder` of Hugging Face `datasets`: images, and `metadata.jsonl` with a line for each. */

import { Florence2Error } from "../../core/errors.ts";
import { hasMember, items, member, number, numbers, text } from "../../files/fields.ts";
import type { LabelledImage } from "../labelled.ts";
import { parseLines } from "../truth/json_lines.ts";
import { below, type Format, type Images, partOf, splitsOf, type WriteOptions } from "./format.ts";

export const imageFolder: Format = {
  name: "hf",
  about: "Hugging Face imagefolder: images and metadata.jsonl",
  needsImages: true,
  *write(images, options) {
    for (const split of splitsOf(images)) {
      const part = partOf(images, split);
      yield { path: below(split, "metadata.jsonl"), content: writeMetadata(part, options, images) };
      if (options.withImages ?? true) {
        for (const { file } of part) yield { path: below(split, file), content: { image: file } };
      }
    }
    yield { path: "classes.json", content: [`${JSON.stringify(options.classes)}\n`] };
  },
};

/**
 * The lines: `file_name`, `text` of a caption, `objects` with boxes as left, top, width, height and class numbers.
 * Every line has the same members, and every coordinate a decimal point: `datasets` takes the types of columns from
 * the first values that it meets, and refuses parts that differ.
 *
 * @param of images of which the part is one: what any of them has, every line has
 */
export function* writeMetadata(
  images: Images,
  { classes }: Pick<WriteOptions, "classes">,
  of: Images = images,
): Generator<string> {
  const hasText = some(of, ({ text: caption }) => caption !== undefined);
  const hasScores = some(of, ({ objects }) => objects.some(({ score }) => score !== undefined));
  for (const { file, text: caption, objects } of images) {
    const boxes = objects.map(({ box: [left, top, right, bottom] }) => {
      const sides = [left, top, right - left, bottom - top];
      return `[${sides.map((side) => side.toFixed(2)).join(",")}]`;
    });
    const members = [
      `"bbox":[${boxes.join(",")}]`,
      `"categories":[${objects.map(({ label }) => classes.indexOf(label)).join(",")}]`,
      ...(hasScores ? [`"scores":[${objects.map(({ score = 1 }) => score.toFixed(6)).join(",")}]`] : []),
    ];
    const columns = [
      `"file_name":${JSON.stringify(file)}`,
      ...(hasText ? [`"text":${JSON.stringify(caption ?? "")}`] : []),
      ...(classes.length > 0 ? [`"objects":{${members.join(",")}}`] : []),
    ];
    yield `{${columns.join(",")}}\n`;
  }
}

function some(images: Images, test: (image: LabelledImage) => boolean): boolean {
  for (const image of images) if (test(image)) return true;
  return false;
}

/**
 * Reads the lines. They know no sizes of images; `sizeOf` gives them.
 *
 * @param file its name in messages
 * @throws {Florence2Error} `data_invalid`
 */
export function readMetadata(
  content: string,
  file: string,
  classes: readonly string[],
  sizeOf: (image: string) => { readonly width: number; readonly height: number },
): LabelledImage[] {
  return parseLines(content, file).map((line) => {
    const name = text(member(line, "file_name"));
    const objects = member(line, "objects");
    const boxes = hasMember(line, "objects")
      ? items(member(objects, "bbox")).map((box) =>
          numbers(box, "left, top, width, height", ({ length }) => length === 4),
        )
      : [];
    const categories =
      boxes.length > 0 ? items(member(objects, "categories")).map((item) => number(item)) : [];
    const scores = hasMember(objects, "scores")
      ? items(member(objects, "scores")).map((item) => number(item))
      : undefined;
    return {
      file: name,
      ...sizeOf(name),
      ...(hasMember(line, "text") && { text: text(member(line, "text")) }),
      objects: boxes.map(([left, top, width, height], i) => {
        const label = classes[categories[i]!];
        if (label === undefined) {
          const message = `${line.where}: objects.categories[${i}] is ${categories[i]}, expected a number below ${classes.length}.`;
          throw new Florence2Error("data_invalid", message, { where: line.where });
        }
        return {
          label,
          box: [left!, top!, left! + width!, top! + height!],
          ...(scores && { score: scores[i]! }),
        };
      }),
    };
  });
}
