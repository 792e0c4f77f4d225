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

/** All tasks that Florence-2 was trained for. */
export const tasks = [
  caption,
  detailedCaption,
  moreDetailedCaption,
  ocr,
  ocrWithRegion,
  objectDetection,
  denseRegionCaption,
  regionProposal,
  captionToPhraseGrounding,
  referringExpressionSegmentation,
  openVocabularyDetection,
  regionToSegmentation,
  regionToCategory,
  regionToDescription,
  regionToOcr,
] as const;

type AnyTask = (typeof tasks)[number];

/** The tags of the fifteen tasks. */
export type TaskToken = AnyTask["token"];

/** A tag, a tag with text behind it, or a free prompt. The odd form keeps the tags in an editor's list. */
export type TaskOrPrompt = TaskToken | (string & {});

/** The answer of each task, by its tag. */
export type Answers = { [T in AnyTask as T["token"]]: ReturnType<T["parse"]> };

/** Any answer. */
export type Answer = Answers[TaskToken];

/**
 * The answer to a task or prompt: of the task whose tag it begins with, else text. Of a string that the
 * compiler does not know, any answer.
 */
export type AnswerOf<Prompt extends string> = string extends Prompt
  ? Answer
  : Prompt extends `<${infer Name}>${string}`
    ? `<${Name}>` extends TaskToken
      ? Answers[`<${Name}>`]
      : string
    : string;
