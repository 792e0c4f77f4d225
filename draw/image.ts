import { type ImageInput, loadImage } from "../model/image/load.ts";
import { loadSharp } from "../model/image/sharp.ts";
import type { Answer, DetectedObject } from "../model/tasks/index.ts";
import { type DrawOptions, drawAnswer, drawnSize } from "./svg.ts";

/**
 * An image with an answer drawn onto it, and words under it (see `drawAnswer`), as the bytes of a PNG. Node
 * and Deno only: it needs sharp.
 *
 *     const { objects } = await model.run("photo.jpg", "<OD>");
 *     await writeFile("photo.answer.png", await drawOnImage("photo.jpg", objects));
 *
 * @throws {Florence2Error} the errors of `loadImage` and `drawAnswer`
 */
export async function drawOnImage(
  image: ImageInput,
  answer: Answer | readonly DetectedObject[],
  options: DrawOptions = {},
): Promise<Uint8Array> {
  const { data, ...size } = await loadImage(image);
  const { width, height } = drawnSize(size, options.scale);
  const drawing = Buffer.from(drawAnswer(answer, size, options));
  const sharp = await loadSharp();
  const strip = (await sharp(drawing).metadata()).height - height;
  return sharp(data, { raw: { ...size, channels: 3 } })
    .resize({ width, height, fit: "fill" })
    .extend({ bottom: strip })
    .composite([{ input: drawing }])
    .removeAlpha()
    .png()
    .toBuffer();
}
