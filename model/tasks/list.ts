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

import type { Task } from "./task.ts";

/**
 * The tasks that Florence-2 was trained for, in the order of help texts. A new one is a file beside this one and
 * its two lines here; everything else finds it through this list.
 */
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

/** The tags of these tasks. */
export type TaskToken = AnyTask["token"];

/** A tag, a tag with text behind it, or a free prompt. The odd form keeps the tags in an editor's list. */
export type TaskOrPrompt = TaskToken | (string & {});

/** The answer of each task, by its tag. */
export type Answers = { [T in AnyTask as T["token"]]: ReturnType<T["parse"]> };

/** The input of each task, by its tag. */
type Inputs = { [T in AnyTask as T["token"]]: T["input"] };

/** Any answer of the tasks in this list. */
export type Answer = Answers[TaskToken];

/**
 * The answer to a task or prompt: of a task object, its own; of a text, that of the task whose tag it begins with,
 * else text. Of a text that the compiler does not know, any answer.
 */
export type AnswerOf<Asked extends string | Task> = Asked extends { parse: (...rest: never[]) => infer Own }
  ? Own
  : string extends Asked
    ? Answer
    : Asked extends `<${infer Name}>${string}`
      ? `<${Name}>` extends TaskToken
        ? Answers[`<${Name}>`]
        : string
      : string;

/** The input that a task object or a tag alone needs; undefined for any other text, which may hold it. */
export type InputOf<Asked extends string | Task> = Asked extends { readonly input: infer Own }
  ? Own
  : Asked extends TaskToken
    ? Inputs[Asked]
    : undefined;
