import { type DetectedObject, type ImageSize, loadImage, type RgbImage } from "florence2-webgpu";
import { drawOnImage } from "florence2-webgpu/draw";
import type { Sharp } from "sharp";
import type { ImageLimits } from "../engine/florence2_engine.ts";
import { badRequest } from "../http/errors.ts";
import type { Box } from "./schemas.ts";

/** An image for the caller to look at; its bytes take room in the agent's context. */
export interface Picture extends ImageSize {
  readonly data: Uint8Array;
  readonly mimeType: "image/jpeg";
}

/** Of the longer side of a picture, in pixels. */
export const MAX_SIDE = 1024;
export const MAX_BYTES = 500_000;
/** Small images are drawn onto larger, so that labels can be read. */
const LEGIBLE_SIDE = 512;
const QUALITIES = [85, 60];
const SHRINK = 0.7;

/** The pixels of a file, upright. */
export const pixelsOf = (file: Uint8Array, limits: ImageLimits): Promise<RgbImage> => loadImage(file, limits);

/** An image with objects drawn onto it. */
export async function drawnPicture(
  file: Uint8Array,
  objects: readonly DetectedObject[],
  limits: ImageLimits,
): Promise<Picture> {
  const image = await pixelsOf(file, limits);
  const side = Math.max(image.width, image.height);
  const scale = Math.min(MAX_SIDE, Math.max(side, LEGIBLE_SIDE)) / side;
  const drawn = await drawOnImage({ ...image, channels: 3 }, objects, { scale, scores: true });
  const { default: sharp } = await import("sharp");
  return toPicture(sharp(drawn));
}

/** A part of an image: as a file without loss, to be asked about, and as a picture. */
export async function cutOut(
  image: RgbImage,
  box: Box,
): Promise<{ readonly file: Uint8Array; readonly picture: Picture }> {
  const { data, width, height } = image;
  const { default: sharp } = await import("sharp");
  const region = { left: box.x1, top: box.y1, width: box.x2 - box.x1, height: box.y2 - box.y1 };
  const file = await sharp(data, { raw: { width, height, channels: 3 } })
    .extract(region)
    .png()
    .toBuffer();
  return { file, picture: await toPicture(sharp(file)) };
}

/**
 * A box widened by a part of its size on every side, in whole pixels inside the image.
 *
 * @throws {ApiError} 400 for a box of which nothing lies inside the image
 */
export function paddedBox(box: Box, padding: number, { width, height }: ImageSize): Box {
  const [dx, dy] = [padding * (box.x2 - box.x1), padding * (box.y2 - box.y1)];
  const inside = (at: number, side: number) => Math.min(side, Math.max(0, at));
  const padded = {
    x1: inside(Math.floor(box.x1 - dx), width),
    y1: inside(Math.floor(box.y1 - dy), height),
    x2: inside(Math.ceil(box.x2 + dx), width),
    y2: inside(Math.ceil(box.y2 + dy), height),
  };
  if (padded.x2 > padded.x1 && padded.y2 > padded.y1) return padded;
  const given = `(${box.x1}, ${box.y1}, ${box.x2}, ${box.y2})`;
  throw badRequest(
    "box_invalid",
    `The box ${given} holds no pixel of the image, which is ${width} x ${height}; give x1 < x2 and y1 < y2.`,
    "box",
  );
}

/** A JPEG within the limits: first the quality goes down, then the size. */
async function toPicture(source: Sharp): Promise<Picture> {
  for (let side = MAX_SIDE; ; side = Math.floor(side * SHRINK)) {
    for (const quality of QUALITIES) {
      const { data, info } = await source
        .clone()
        .resize({ width: side, height: side, fit: "inside", withoutEnlargement: true })
        .jpeg({ quality })
        .toBuffer({ resolveWithObject: true });
      if (data.length <= MAX_BYTES)
        return { data, mimeType: "image/jpeg", width: info.width, height: info.height };
    }
  }
}
