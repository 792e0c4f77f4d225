/** The metrics of `npm run eval` for programs of one's own. Plain functions: no model, no files. */
export { type Box, boxOverlap } from "../datasets/geometry/boxes.ts";
export { type ImageSize, maskOverlap, rasterize } from "../datasets/geometry/masks.ts";
export { quadOverlap } from "../datasets/geometry/quads.ts";
export type { LabelledBoxes } from "../datasets/truth/truth.ts";
export { bleu } from "./metrics/bleu.ts";
export { matchBoxes, phrasesFound } from "./metrics/boxes.ts";
export { ciderD } from "./metrics/cider.ts";
export {
  type CocoBox,
  type CocoDetection,
  type CocoFigures,
  type CocoTruth,
  cocoFigures,
} from "./metrics/coco_map.ts";
export { type PairCounts, precisionRecall } from "./metrics/matching.ts";
export type { CaptionCase } from "./metrics/ngrams.ts";
export { captionTokens } from "./metrics/ptb_tokens.ts";
export { type Bin, type Judged, reliability } from "./metrics/reliability.ts";
export { characterErrorRate, type TextCase, wordErrorRate } from "./metrics/texts.ts";
export { type VqaCase, vqaAccuracy } from "./metrics/vqa.ts";
