/** The metrics of `npm run eval` for programs of one's own. Plain functions: no model, no files. */
export { bleu } from "./metrics/bleu.ts";
export { type Box, boxOverlap, type LabelledBoxes, matchBoxes, phrasesFound } from "./metrics/boxes.ts";
export { ciderD } from "./metrics/cider.ts";
export {
  type CocoBox,
  type CocoDetection,
  type CocoFigures,
  type CocoTruth,
  cocoFigures,
} from "./metrics/coco_map.ts";
export { type ImageSize, maskOverlap, rasterize } from "./metrics/masks.ts";
export { type PairCounts, precisionRecall } from "./metrics/matching.ts";
export type { CaptionCase } from "./metrics/ngrams.ts";
export { captionTokens } from "./metrics/ptb_tokens.ts";
export { quadOverlap } from "./metrics/quads.ts";
export { type Bin, type Judged, reliability } from "./metrics/reliability.ts";
export { characterErrorRate, type TextCase, wordErrorRate } from "./metrics/texts.ts";
export { type VqaCase, vqaAccuracy } from "./metrics/vqa.ts";
