/**
 * Data sets for programs of one's own: formats written and read, and the geometry of boxes, outlines and masks.
 * Plain functions without dependencies, for every runtime; no model, no files.
 */
export {
  CAPTION_MODES,
  type CaptionMode,
  type CaptionStyle,
  cleanCaption,
  mergeCaption,
  styleCaption,
} from "./captions.ts";
export { readCoco, writeCoco, writeCocoResults } from "./formats/coco.ts";
export { readCvat, writeCvat } from "./formats/cvat.ts";
export type { Format, Images, OutputFile, WriteOptions } from "./formats/format.ts";
export { readMetadata, writeMetadata } from "./formats/image_folder.ts";
export { labelStudioConfig, readLabelStudio, writeLabelStudio } from "./formats/label_studio.ts";
export { labelFormats, textFormats } from "./formats/list.ts";
export {
  type ParquetWriter,
  readCsv,
  readImageLines,
  writeCsv,
  writeImageLines,
  writeParquet,
} from "./formats/tables.ts";
export { writeAlto, writeHocr, writePage } from "./formats/text/layout.ts";
export { type PdfImage, type PdfPage, writePdf } from "./formats/text/pdf.ts";
export { writeMarkdown, writePlainText, writeTsv } from "./formats/text/plain.ts";
export { readVoc, writeVoc } from "./formats/voc.ts";
export { dataYaml, readDataYaml, readYoloLabels, type YoloTask, yoloLabels } from "./formats/yolo.ts";
export { type Box, boundsOf, boxArea, boxOverlap, clipBox, cornersOf } from "./geometry/boxes.ts";
export { type ImageSize, maskOverlap, rasterize } from "./geometry/masks.ts";
export { clockwise, joinRings, polygonArea, signedArea } from "./geometry/polygons.ts";
export { quadOverlap } from "./geometry/quads.ts";
export {
  decodeMask,
  encodeMask,
  maskArea,
  type RunLengths,
  runsOf,
  runsToText,
  textToRuns,
} from "./geometry/run_lengths.ts";
export { type Suppression, suppress } from "./geometry/suppression.ts";
export { tilesOf } from "./geometry/tiles.ts";
export {
  areaOf,
  boxOfMask,
  clipObjects,
  type LabelledImage,
  type LabelledObject,
  labelsOf,
  maskOf,
} from "./labelled.ts";
export { stemsOf } from "./names.ts";
export { linesOf, readingOrder, type TextLine, type TextWord, wordsOf } from "./reading_order.ts";
export { type ClassRule, classNames, type SelectionOptions, select } from "./selection.ts";
export { guardFormula, parseCsv } from "./shared/csv.ts";
export { encodePng, maskRows } from "./shared/png.ts";
export { parseSplit, splitFiles } from "./splits.ts";
