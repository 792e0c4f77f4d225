/** The common form of all formats: images with labelled things, lines of text and captions. */

import type { PixelEdges } from "./geometry/boxes.ts";
import { boundsOf, clipBox } from "./geometry/boxes.ts";
import { rasterize } from "./geometry/masks.ts";
import { polygonArea } from "./geometry/polygons.ts";
import { decodeMask, maskArea, type RunLengths, runsOf } from "./geometry/run_lengths.ts";

/** One thing in an image. Coordinates are pixels of the image as seen, from its upper left corner. */
export interface LabelledObject {
  /** The class. */
  readonly label: string;
  readonly box: PixelEdges;
  /** Confidence, 0 to 1. */
  readonly score?: number;
  /** Rings of its outline, each x, y, x, y, ... */
  readonly polygons?: readonly (readonly number[])[];
  /** Four corners, x and y of each: the upper left one first, clockwise. */
  readonly quad?: readonly number[];
  /** Pixels that belong to it, where a file had them in place of outlines. */
  readonly mask?: RunLengths;
  /** Stands for a crowd (COCO). */
  readonly isCrowd?: boolean;
  /** The text in it, or its description. */
  readonly text?: string;
}

export interface LabelledImage {
  /** Path from the folder of the images, with "/". */
  readonly file: string;
  /** As seen, in pixels: EXIF orientation is applied. */
  readonly width: number;
  readonly height: number;
  readonly objects: readonly LabelledObject[];
  /** A caption, or all that is written in the image. */
  readonly text?: string;
  /** Name of the part of the data set: train, val, test. */
  readonly split?: string;
}

/**
 * The area of a thing in pixels, by what is known best: its mask, its outlines, its quad, its box. Overlapping
 * rings count once, as pycocotools counts them.
 */
export function areaOf(
  { box, polygons, quad, mask }: LabelledObject,
  size: Pick<LabelledImage, "width" | "height">,
): number {
  if (mask) return maskArea(decodeMask(mask));
  if (polygons?.length === 1) return polygonArea(polygons[0]!);
  if (polygons && polygons.length > 1) return maskArea(rasterize(polygons, size));
  if (quad) return polygonArea(quad);
  return (box[2] - box[0]) * (box[3] - box[1]);
}

/** Things with everything inside the image; those that lie outside, or have no width or height, are dropped. */
export function clipObjects({ objects, ...image }: LabelledImage): LabelledObject[] {
  return objects.flatMap((object) => {
    const box = clipBox(object.box, image);
    if (!(box[2] > box[0] && box[3] > box[1])) return [];
    const clip = (points: readonly number[]) =>
      points.map((value, i) => Math.min(Math.max(value, 0), i % 2 === 0 ? image.width : image.height));
    return [
      {
        ...object,
        box,
        ...(object.polygons && { polygons: object.polygons.map(clip).filter(isRing) }),
        ...(object.quad && { quad: clip(object.quad) }),
      },
    ];
  });
}

/** The pixels of a thing: its mask, or what its outlines, quad or box enclose; column after column. */
export function maskOf(object: LabelledObject, size: Pick<LabelledImage, "width" | "height">): Uint8Array {
  if (object.mask) return decodeMask(object.mask);
  const [left, top, right, bottom] = object.box;
  const corners = object.quad ?? [left, top, right, top, right, bottom, left, bottom];
  return rasterize(object.polygons ?? [corners], size);
}

/** The smallest box around the pixels of a mask; all 0 for an empty one. */
export function boxOfMask(mask: RunLengths): PixelEdges {
  const [height] = mask.size;
  const points: number[] = [];
  let at = 0;
  for (const [i, run] of runsOf(decodeMask(mask)).entries()) {
    if (i % 2 === 1 && run > 0) {
      const [first, last] = [at, at + run - 1];
      const [left, right] = [Math.floor(first / height), Math.floor(last / height)];
      // A run over several columns touches the upper and the lower edge.
      const [top, bottom] = left === right ? [first % height, last % height] : [0, height - 1];
      points.push(left, top, right + 1, bottom + 1);
    }
    at += run;
  }
  return points.length > 0 ? boundsOf(points) : [0, 0, 0, 0];
}

/** At least three points. */
export const isRing = (points: readonly number[]) => points.length >= 6;

/** All labels of some images, each once, by their code units: an order that no image changes. */
export function labelsOf(images: Iterable<LabelledImage>): string[] {
  const labels = new Set<string>();
  for (const { objects } of images) for (const { label } of objects) labels.add(label);
  return [...labels].sort();
}
