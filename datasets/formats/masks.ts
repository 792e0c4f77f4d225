/** Masks as images: one for each thing, or one for each image with the number of the class in each pixel. */

import { Florence2Error } from "../../core/errors.ts";
import { areaOf, type LabelledImage, maskOf } from "../labelled.ts";
import { stemsOf } from "../names.ts";
import { encodePng, maskRows } from "../shared/png.ts";
import { below, type Format } from "./format.ts";

export const masks: Format = {
  name: "masks",
  about: "a PNG for each thing, white on black: masks/NAME_000_label.png",
  async *write(images) {
    const stems = stemsOf([...images].map(({ file }) => file));
    for (const image of images) {
      for (const [i, object] of image.objects.entries()) {
        const label = object.label.replaceAll(/[^\p{L}\p{N}-]+/gu, "_").slice(0, 60);
        const name = `${stems.get(image.file)}_${String(i).padStart(3, "0")}_${label}.png`;
        const content = await encodePng(maskRows(maskOf(object, image), image, 255), image);
        yield { path: below(image.split, `masks/${name}`), content };
      }
    }
  },
};

export const classMasks: Format = {
  name: "masks-index",
  about: "a PNG for each image with the class of each pixel, 0 for none, and classes.json",
  async *write(images, { classes }) {
    if (classes.length > 255) {
      const message = `masks-index has room for 255 classes, there are ${classes.length}; choose some with --classes.`;
      throw new Florence2Error("option_invalid", message, { classes: classes.length });
    }
    const stems = stemsOf([...images].map(({ file }) => file));
    for (const image of images) {
      const content = await encodePng(classRows(image, classes), image, colours(classes.length + 1));
      yield { path: below(image.split, `masks/${stems.get(image.file)}.png`), content };
    }
    const numbers = Object.fromEntries([["background", 0], ...classes.map((name, i) => [name, i + 1])]);
    yield { path: "classes.json", content: [`${JSON.stringify(numbers, null, 2)}\n`] };
  },
};

/** The number of the class in each pixel, row after row: small things lie on large ones. */
function classRows(image: LabelledImage, classes: readonly string[]): Uint8Array {
  const rows = new Uint8Array(image.width * image.height);
  const sized = image.objects.map((object) => ({ object, area: areaOf(object, image) }));
  for (const { object } of sized.sort((a, b) => b.area - a.area)) {
    const value = classes.indexOf(object.label) + 1;
    for (const [i, pixel] of maskRows(maskOf(object, image), image).entries()) if (pixel) rows[i] = value;
  }
  return rows;
}

/** The palette of Pascal VOC: bits of the number dealt out to red, green and blue, high ones first. */
function colours(count: number): [number, number, number][] {
  return Array.from({ length: count }, (_, value) => {
    const colour: [number, number, number] = [0, 0, 0];
    for (let bit = 0; bit < 8; bit++) {
      for (let channel = 0; channel < 3; channel++) {
        colour[channel]! |= ((value >> (3 * bit + channel)) & 1) << (7 - bit);
      }
    }
    return colour;
  });
}
