/** CVAT for images 1.1: one XML file. */

import { boundsOf } from "../geometry/boxes.ts";
import type { LabelledImage, LabelledObject } from "../labelled.ts";
import { childOf, childrenOf, element, escapeXml, parseXml, type XmlElement } from "../shared/xml.ts";
import { below, type Format, type Images, partOf, rounded, splitsOf, type WriteOptions } from "./format.ts";

export const cvat: Format = {
  name: "cvat",
  about: "CVAT for images 1.1: annotations.xml",
  *write(images, options) {
    for (const split of splitsOf(images)) {
      yield { path: below(split, "annotations.xml"), content: writeCvat(partOf(images, split), options) };
    }
    if (options.withImages) {
      for (const { file, split } of images) {
        yield { path: below(split, `images/${file}`), content: { image: file } };
      }
    }
  },
};

/** The file in pieces. Outlines and quads are polygons; what is written is an attribute `text` of a shape. */
export function* writeCvat(images: Images, { classes }: WriteOptions): Generator<string> {
  yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n';
  const attribute =
    "<attribute><name>text</name><mutable>False</mutable><input_type>text</input_type><default_value></default_value><values></values></attribute>";
  const labels = classes.map(
    (name) => `<label>${element("name", {}, escapeXml(name))}<attributes>${attribute}</attributes></label>`,
  );
  yield `  <meta><task><labels>${labels.join("")}</labels></task></meta>\n`;
  let id = 0;
  for (const { file, width, height, objects } of images) {
    const shapes = objects.flatMap((object) => shapesOf(object).map((shape) => `    ${shape}\n`));
    yield `  ${element("image", { id: id++, name: file, width, height }, "\n", ...shapes, "  ")}\n`;
  }
  yield "</annotations>\n";
}

function shapesOf({ label, box, polygons, quad, text }: LabelledObject): string[] {
  const common = { label, source: "auto", occluded: 0, z_order: 0 };
  const written = text === undefined ? [] : [element("attribute", { name: "text" }, escapeXml(text))];
  const rings = polygons ?? (quad && [quad]);
  if (!rings) {
    const [xtl, ytl, xbr, ybr] = box.map((value) => rounded(value));
    return [element("box", { ...common, xtl, ytl, xbr, ybr }, ...written)];
  }
  return rings.map((ring) => {
    const points = ring.flatMap((x, i) => (i % 2 === 0 ? [`${rounded(x)},${rounded(ring[i + 1]!)}`] : []));
    return element("polygon", { ...common, points: points.join(";") }, ...written);
  });
}

/**
 * Reads boxes and polygons.
 *
 * @param file its name in messages
 * @throws {Florence2Error} `data_invalid`
 */
export function readCvat(content: string, file: string): LabelledImage[] {
  return childrenOf(parseXml(content, file), "image").map((image) => {
    const { name = "", width, height } = image.attributes;
    return {
      file: name,
      width: Number(width),
      height: Number(height),
      objects: image.children.flatMap(readShape),
    };
  });
}

function readShape(shape: XmlElement): LabelledObject[] {
  const { label = "", xtl, ytl, xbr, ybr, points } = shape.attributes;
  const attribute = childOf(shape, "attribute");
  const common = {
    label,
    ...(attribute?.attributes.name === "text" && { text: attribute.text }),
  };
  if (shape.name === "box") {
    return [{ ...common, box: [Number(xtl), Number(ytl), Number(xbr), Number(ybr)] }];
  }
  if (shape.name !== "polygon" || points === undefined) return [];
  const ring = points.split(/[;,]/).map(Number);
  const outline = ring.length === 8 ? { quad: ring } : { polygons: [ring] };
  return [{ ...common, box: boundsOf(ring), ...outline }];
}
