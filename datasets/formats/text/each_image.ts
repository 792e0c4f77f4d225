import type { LabelledImage } from "../../labelled.ts";
import { stemsOf } from "../../names.ts";
import type { Format } from "../format.ts";

/** A format of one text file for each image, under the image's name. */
export function eachImage(
  name: string,
  about: string,
  ending: string,
  write: (image: LabelledImage) => string,
): Format {
  return {
    name,
    about,
    *write(images) {
      const stems = stemsOf([...images].map(({ file }) => file));
      for (const image of images) {
        yield { path: `${stems.get(image.file)}${ending}`, content: [write(image)] };
      }
    },
  };
}
