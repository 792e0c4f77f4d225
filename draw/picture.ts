import { Florence2Error } from "../core/errors.ts";
import type { AnswerOf } from "../model/tasks/index.ts";
import { drawAnswer } from "./svg.ts";

/**
 * A picture with an answer drawn onto it, as the bytes of a PNG. Node and Deno only: it needs sharp.
 *
 * @param picture a path, or the bytes of a picture file
 */
export async function drawOnPicture(
  picture: string | Uint8Array,
  answer: AnswerOf<string>,
): Promise<Uint8Array> {
  const sharp = await import("sharp").then(
    ({ default: module }) => module,
    (cause: unknown) => {
      throw new Florence2Error(
        "dependency_missing",
        "The package sharp can't be loaded: npm install sharp",
        { package: "sharp" },
        cause,
      );
    },
  );
  const { data, info } = await sharp(picture)
    .rotate()
    .removeAlpha()
    .toColourspace("srgb")
    .png()
    .toBuffer({ resolveWithObject: true });
  const overlay = drawAnswer(answer, { width: info.width, height: info.height });
  return sharp(data)
    .composite([{ input: Buffer.from(overlay) }])
    .png()
    .toBuffer();
}
