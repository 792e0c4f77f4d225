import { type ImageAnswers, labelledFrom } from "../../datasets/answers.ts";
import type { LabelledImage, LabelledObject } from "../../datasets/labelled.ts";

/** The label of things that have none. */
const UNNAMED = "object";

/**
 * The things of an image as the command that asked about it makes data sets of them: `convert` says the same as
 * `label` and `regions` do.
 *
 * @param command that asked
 */
export function labelledAnswers(answers: ImageAnswers, command: unknown): LabelledImage {
  const image = labelledFrom(answers);
  const isCategory = answers.answers.some(({ task }) => task === "<REGION_TO_CATEGORY>");
  if (command !== "label" && !isCategory) return image;
  return { ...image, objects: image.objects.map(isCategory ? withCategory : withName) };
}

const withName = (object: LabelledObject) => ({ ...object, label: object.label.trim() || UNNAMED });

/** What the model calls a thing takes the place of its label. */
const withCategory = ({ text, label, ...object }: LabelledObject) => ({ ...object, label: text || label });
