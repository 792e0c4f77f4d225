import * as parquetWriter from "hyparquet-writer";
import { labelFormats, textFormats } from "../../datasets/formats/list.ts";
import { writeCaptionParquet, writeParquet } from "../../datasets/formats/tables.ts";
import { writePdf } from "../../datasets/formats/text/pdf.ts";
import {
  encodeMask,
  encodePng,
  type LabelledImage,
  labelsOf,
  type OutputFile,
  rasterize,
} from "../../datasets/index.ts";

const size = { width: 64, height: 48 };
const disc = Array.from({ length: 24 }, (_, i) => [
  40 + 10 * Math.cos((i * Math.PI) / 12),
  20 + 10 * Math.sin((i * Math.PI) / 12),
]).flat();
const ring = [4, 4, 30, 6, 28, 40, 5, 36];
const island = [40, 30, 60, 30, 60, 44, 50, 46, 40, 44];

/** Names and shapes that formats and programs stumble over; every label has a box. */
export const sample: readonly LabelledImage[] = [
  {
    file: "a.png",
    ...size,
    split: "train",
    objects: [
      { label: "cat", box: [3.25, 4.5, 20, 30.75], score: 0.875 },
      { label: "dog", box: [20, 10, 64, 48], score: 0.5 },
    ],
    text: "a cat and a dog",
  },
  {
    file: "b/a.png",
    ...size,
    split: "train",
    objects: [{ label: "cat", box: [4, 4, 30, 40], polygons: [ring], score: 0.75 }],
    text: "one cat",
  },
  {
    file: "b/käse & brot (1).png",
    ...size,
    split: "train",
    objects: [
      { label: 'a "b" & <c>: #d', box: [4, 4, 60, 46], polygons: [ring, island], score: 0.625 },
      { label: "cat", box: [30, 10, 50, 30], polygons: [disc], score: 0.25 },
    ],
    text: "cheese, bread\tand 日本",
  },
  { file: "c d/empty.PNG", ...size, split: "val", objects: [], text: "nothing" },
  {
    file: "c d/sign.png",
    ...size,
    split: "val",
    objects: [
      {
        label: "text",
        text: "EXIT",
        box: [10, 5, 50, 20],
        quad: [10, 8, 49, 5, 50, 17, 11, 20],
        score: 0.9375,
      },
      {
        label: "text",
        text: 'Größe "7" < 8 日本',
        box: [8, 24, 56, 40],
        quad: [8, 24, 56, 24, 56, 40, 8, 40],
        score: 0.5,
      },
    ],
  },
];

/** The same with a crowd as run lengths, which only COCO knows. */
export const crowded: readonly LabelledImage[] = [
  ...sample.slice(0, 1),
  {
    file: "crowd.png",
    ...size,
    split: "train",
    objects: [
      { label: "dog", box: [30, 10, 50, 30], mask: encodeMask(rasterize([disc], size), size), isCrowd: true },
    ],
  },
];

export const sampleClasses = labelsOf(sample);

/** Every format of the sample by the path of its files; PDF included. */
export async function* sampleFiles(): AsyncGenerator<OutputFile> {
  for (const format of new Set([...labelFormats, ...textFormats])) {
    const images = textFormats.includes(format) && !labelFormats.includes(format) ? sample.slice(-1) : sample;
    const options = { classes: sampleClasses, withImages: true };
    for await (const file of format.write(images, options)) {
      yield { ...file, path: `${format.name}/${file.path}` };
    }
  }
  for await (const file of labelFormats[0]!.write(crowded, { classes: sampleClasses })) {
    yield { ...file, path: `coco-crowd/${file.path}` };
  }
  yield { path: "parquet/objects.parquet", content: writeParquet(sample, parquetWriter) };
  yield { path: "parquet/metadata.parquet", content: writeCaptionParquet(sample, parquetWriter) };
  const page = { ...sample.at(-1)!, image: { pixels: samplePixels(), channels: 3 } as const };
  yield { path: "pdf/sign.pdf", content: await writePdf([page]) };
}

/** A soft gradient, so that every program finds an image under each name. */
export function samplePixels(): Uint8Array {
  return Uint8Array.from({ length: 3 * size.width * size.height }, (_, i) => (i * 7) % 251);
}

export async function samplePng(): Promise<Uint8Array> {
  const grey = Uint8Array.from({ length: size.width * size.height }, (_, i) => (i * 7) % 251);
  return encodePng(grey, size);
}
