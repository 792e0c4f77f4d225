// Written by scripts/list_tasks.mjs: npm run build.
import { caption } from "./caption.ts";
import { captionToPhraseGrounding } from "./caption_to_phrase_grounding.ts";
import { denseRegionCaption } from "./dense_region_caption.ts";
import { detailedCaption } from "./detailed_caption.ts";
import { moreDetailedCaption } from "./more_detailed_caption.ts";
import { ocr } from "./ocr.ts";
import { ocrWithRegion } from "./ocr_with_region.ts";
import { objectDetection } from "./od.ts";
import { openVocabularyDetection } from "./open_vocabulary_detection.ts";
import { referringExpressionSegmentation } from "./referring_expression_segmentation.ts";
import { regionProposal } from "./region_proposal.ts";
import { regionToCategory } from "./region_to_category.ts";
import { regionToDescription } from "./region_to_description.ts";
import { regionToOcr } from "./region_to_ocr.ts";
import { regionToSegmentation } from "./region_to_segmentation.ts";

/** The tasks of this folder, by file name. */
export const tasks = [
  caption,
  captionToPhraseGrounding,
  denseRegionCaption,
  detailedCaption,
  moreDetailedCaption,
  ocr,
  ocrWithRegion,
  objectDetection,
  openVocabularyDetection,
  referringExpressionSegmentation,
  regionProposal,
  regionToCategory,
  regionToDescription,
  regionToOcr,
  regionToSegmentation,
] as const;
