import { coco } from "./coco.ts";
import { cvat } from "./cvat.ts";
import type { Format } from "./format.ts";
import { imageFolder } from "./image_folder.ts";
import { labelStudio } from "./label_studio.ts";
import { classMasks, masks } from "./masks.ts";
import { csv, jsonLines } from "./tables.ts";
import { alto, hocr, page } from "./text/layout.ts";
import { markdown, plainText, tsv } from "./text/plain.ts";
import { voc } from "./voc.ts";
import { yolo, yoloObb, yoloSegment } from "./yolo.ts";

/** Data sets of labelled things. */
export const labelFormats: readonly Format[] = [
  ...[coco, yolo, yoloSegment, yoloObb, voc, labelStudio, cvat, imageFolder],
  ...[csv, jsonLines, masks, classMasks],
];

/** Pages of text. Searchable PDF (text/pdf.ts) needs the images themselves, and Parquet a package. */
export const textFormats: readonly Format[] = [plainText, markdown, tsv, hocr, alto, page, csv, jsonLines];
