/** Pascal VOC: an XML file for each image. Pixels are counted from 1, and both ends belong to a box. */

import { Florence2Error } from "../../core/errors.ts";
import type { PixelEdges } from "../geometry/boxes.ts";
import type { LabelledImage, LabelledObject } from "../labelled.ts";
import { baseName, splitEnding, stemsOf } from "../names.ts";
import { childOf, childrenOf, element, escapeXml, parseXml, type XmlElement } from "../shared/xml.ts";
import { type Format, partOf, splitsOf } from "./format.ts";

export const voc: Format = {
  name: "voc",
  about: "Pascal VOC: Annotations/*.xml and ImageSets/Main/*.txt",
  *write(images, { withImages }) {
    const stems = stemsOf([...images].map(({ file }) => file));
    for (const image of images) {
      const stem = stems.get(image.file)!;
      const path = `${stem}.${splitEnding(image.file)[1]}`;
      yield { path: `Annotations/${stem}.xml`, content: [writeVoc(image, path)] };
      if (withImages) yield { path: `JPEGImages/${path}`, content: { image: image.file } };
    }
    for (const split of splitsOf(images)) {
      const content = [...partOf(images, split)].map(({ file }) => `${stems.get(file)}\n`);
      yield { path: `ImageSets/Main/${split ?? "trainval"}.txt`, content };
    }
  },
};

/**
 * The annotation of an image. A box from 10 to 20 holds the pixels 10 to 19 counted from 0: 11 to 20 in VOC.
 *
 * @param path of the image below `JPEGImages`
 */
export function writeVoc({ width, height, objects }: LabelledImage, path: string): string {
  const folder = path.includes("/") ? `JPEGImages/${path.slice(0, path.lastIndexOf("/"))}` : "JPEGImages";
  const tag = (name: string, value: string | number) => `  ${element(name, {}, escapeXml(String(value)))}\n`;
  return [
    "<annotation>\n",
    tag("folder", folder),
    tag("filename", baseName(path)),
    "  <source><database>Unknown</database></source>\n",
    `  <size><width>${width}</width><height>${height}</height><depth>3</depth></size>\n`,
    tag("segmented", 0),
    ...objects.map((object) => objectXml(object, width, height)),
    "</annotation>\n",
  ].join("");
}

function objectXml({ label, box }: LabelledObject, width: number, height: number): string {
  const [left, top, right, bottom] = box.map(Math.round) as PixelEdges;
  const inside = (value: number, max: number) => Math.min(Math.max(value, 1), max);
  const [xmin, ymin] = [inside(left + 1, width), inside(top + 1, height)];
  const [xmax, ymax] = [Math.max(xmin, inside(right, width)), Math.max(ymin, inside(bottom, height))];
  return [
    "  <object>\n",
    `    ${element("name", {}, escapeXml(label))}\n`,
    "    <pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>\n",
    `    <bndbox><xmin>${xmin}</xmin><ymin>${ymin}</ymin><xmax>${xmax}</xmax><ymax>${ymax}</ymax></bndbox>\n`,
    "  </object>\n",
  ].join("");
}

/**
 * Reads the annotation of an image.
 *
 * @param file its name in messages
 * @throws {Florence2Error} `data_invalid`
 */
export function readVoc(content: string, file: string): LabelledImage {
  const root = parseXml(content, file);
  const size = childOf(root, "size");
  const folder = textOf(root, "folder", file).replace(/^JPEGImages\/?/, "");
  const name = textOf(root, "filename", file);
  return {
    file: folder ? `${folder}/${name}` : name,
    width: numberOf(size ?? root, "width", file),
    height: numberOf(size ?? root, "height", file),
    objects: childrenOf(root, "object").map((object) => {
      const box = childOf(object, "bndbox") ?? object;
      const [xmin, ymin] = [numberOf(box, "xmin", file), numberOf(box, "ymin", file)];
      const [xmax, ymax] = [numberOf(box, "xmax", file), numberOf(box, "ymax", file)];
      return { label: textOf(object, "name", file), box: [xmin - 1, ymin - 1, xmax, ymax] };
    }),
  };
}

function textOf(parent: XmlElement, name: string, file: string): string {
  const child = childOf(parent, name);
  if (child) return child.text;
  const message = `${file}: <${parent.name}> has no <${name}>.`;
  throw new Florence2Error("data_invalid", message, { file, element: name });
}

function numberOf(parent: XmlElement, name: string, file: string): number {
  const value = Number(textOf(parent, name, file));
  if (Number.isFinite(value)) return value;
  const message = `${file}: <${name}> is ${textOf(parent, name, file)}, expected a number.`;
  throw new Florence2Error("data_invalid", message, { file, element: name });
}
