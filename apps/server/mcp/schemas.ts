import type { DetectedObject, ImageSize } from "florence2-webgpu";
import { z } from "zod";

/** Schemas of arguments and results. */
export const imageSchema = z
  .union(
    [
      z.string(),
      z.strictObject({ path: z.string() }),
      z.strictObject({ url: z.string() }),
      z.strictObject({ data: z.string().describe("base64"), mimeType: z.string().optional() }),
      z.strictObject({ image_id: z.string() }),
    ],
    "give a path, a URL or an image_id as a text, or one of { path }, { url }, { data } in base64 and { image_id }",
  )
  .describe(
    "The image: its path if this server reads files, an https: or data: URL, or the image_id of an earlier result",
  );
export type ImageArgument = z.output<typeof imageSchema>;

const edge = (name: string) => z.number().describe(`${name} edge`);
export const boxSchema = z
  .object({ x1: edge("left"), y1: edge("upper"), x2: edge("right"), y2: edge("lower") })
  .describe("Edges of a box, from the upper left corner of the upright image");
export type Box = z.output<typeof boxSchema>;

/** The box that a caller gives, always in pixels. */
export const boxArgument = z
  .union(
    [boxSchema, z.array(z.number()).length(4, "give four numbers: [x1, y1, x2, y2]")],
    "give { x1, y1, x2, y2 } or [x1, y1, x2, y2] in pixels",
  )
  .describe("{ x1, y1, x2, y2 } or [x1, y1, x2, y2] in pixels of the image");

/** @example regionOf([1, 2, 3, 4]) // { x1: 1, y1: 2, x2: 3, y2: 4 } */
export const regionOf = (box: z.output<typeof boxArgument>): Box => (Array.isArray(box) ? edgesOf(box) : box);

export const pictureArgument = z
  .boolean()
  .default(false)
  .describe("Also return the image with the answer drawn onto it (at most 1024 pixels wide and high)");

const coordinates = ["pixels", "relative"] as const;
export type Coordinates = (typeof coordinates)[number];
export const coordinatesArgument = z
  .enum(coordinates)
  .default("pixels")
  .describe("Of the answer: pixels, or relative to the image, 0 to 1000");

export const objectSchema = z.object({
  label: z.string(),
  box: boxSchema,
  score: z.number().optional().describe("Confidence, 0 to 1"),
  quad: z.array(z.number()).length(8).optional().describe("Corners of a line of text: x, y, ... clockwise"),
  polygons: z.array(z.array(z.number())).optional().describe("Outlines of a mask: x, y, ... each"),
});
export type FoundObject = z.output<typeof objectSchema>;

/** The first fields of every answer about an image. */
export const imageFields = {
  image_id: z.string().describe("Stands for the image in later calls"),
  width: z.int().describe("Of the upright image, in pixels"),
  height: z.int(),
};
export const warningsField = z.array(z.string()).optional();

const RELATIVE = 1000;

/** An object as tools give it: edges by name, tenths of pixels. */
export function foundObject(object: DetectedObject, size: ImageSize, kind: Coordinates): FoundObject {
  const scaleOf = (side: number) => (kind === "relative" ? RELATIVE / side : 1);
  const scales = [scaleOf(size.width), scaleOf(size.height)];
  const scaled = (points: readonly number[]) => points.map((at, i) => rounded(at * scales[i % 2]!, 1));
  const { label, box, score, quad, polygons } = object;
  return {
    label,
    box: edgesOf(scaled(box)),
    ...(score !== undefined && { score: rounded(score, 3) }),
    ...(quad && { quad: scaled(quad) }),
    ...(polygons && { polygons: polygons.map(scaled) }),
  };
}

/** @example edgesOf([1, 2, 3, 4]) // { x1: 1, y1: 2, x2: 3, y2: 4 } */
export function edgesOf([x1, y1, x2, y2]: readonly number[]): Box {
  return { x1: x1!, y1: y1!, x2: x2!, y2: y2! };
}

const rounded = (value: number, digits: number) => Number(value.toFixed(digits));

/** @example lineOf({ label: "car", box: { x1: 1, y1: 2, x2: 3, y2: 4 }, score: 0.9 }) // "car (1, 2, 3, 4) 0.90" */
export function lineOf({ label, box, score }: FoundObject): string {
  const place = `(${[box.x1, box.y1, box.x2, box.y2].map(Math.round).join(", ")})`;
  return [label, place, score?.toFixed(2)].filter(Boolean).join(" ");
}
