import { readFileSync } from "node:fs";
import type { Format } from "../../datasets/formats/format.ts";
import { type PdfImage, writePdf } from "../../datasets/formats/text/pdf.ts";
import { stemsOf } from "../../datasets/names.ts";
import { loadImage } from "../../model/image/load.ts";
import { loadSharp } from "../../model/image/sharp.ts";
import type { ImagePlacing } from "./write_files.ts";

/** One searchable PDF for each image. */
export function pdfFormat(find: ImagePlacing["find"]): Format {
  return {
    name: "pdf",
    about: "searchable PDF: the image with invisible text over it",
    async *write(images) {
      const stems = stemsOf([...images].map(({ file }) => file));
      for (const image of images) {
        const { path, orientation = 1 } = find(image.file);
        const content = await writePdf([{ ...image, image: await pdfImage(path, orientation) }]);
        yield { path: `${stems.get(image.file)}.pdf`, content };
      }
    },
  };
}

/** A JPEG that is stored upright goes in as it is; all else as pixels. */
async function pdfImage(path: string, orientation: number): Promise<PdfImage> {
  const sharp = await loadSharp();
  // sharp does not know BMP, which loadImage reads.
  const { format, channels } = await sharp(path)
    .metadata()
    .catch(() => ({ format: undefined, channels: undefined }));
  if (format === "jpeg" && orientation === 1 && (channels === 1 || channels === 3 || channels === 4)) {
    return { jpeg: readFileSync(path), channels };
  }
  const { data } = await loadImage(path);
  return { pixels: data, channels: 3 };
}
