import { tasks } from "florence2-webgpu";

const tags: ReadonlySet<string> = new Set(tasks.map(({ token }) => token));

/** Names that other services have for the same tasks. */
const ALIASES: Readonly<Record<string, string>> = {
  "object-detection": "<OD>",
  "open-vocabulary-object-detection": "<OPEN_VOCABULARY_DETECTION>",
  "object-detection-and-caption": "<DENSE_REGION_CAPTION>",
  "ocr-with-text-detection": "<OCR_WITH_REGION>",
  "phrase-grounded-object-detection": "<CAPTION_TO_PHRASE_GROUNDING>",
  "phrase-grounded-instance-segmentation": "<REFERRING_EXPRESSION_SEGMENTATION>",
  "detection-grounded-instance-segmentation": "<REGION_TO_SEGMENTATION>",
  "detection-grounded-classification": "<REGION_TO_CATEGORY>",
  "detection-grounded-caption": "<REGION_TO_DESCRIPTION>",
  "detection-grounded-ocr": "<REGION_TO_OCR>",
};

/**
 * The tag of a task by any of its names; other text is left as it is.
 *
 * @example taskOf("od") // "<OD>"
 * @example taskOf("detailed-caption") // "<DETAILED_CAPTION>"
 */
export function taskOf(name: string): string {
  const plain = name.trim();
  if (tags.has(plain)) return plain;
  const alias = ALIASES[plain.toLowerCase()];
  if (alias) return alias;
  const tag = `<${plain.replace(/^<|>$/g, "").replace(/[-\s]/g, "_").toUpperCase()}>`;
  return tags.has(tag) ? tag : name;
}

/** The tag that a prompt begins with, if it is a known one: a label for metrics and logs that no caller can make up. */
export function taskLabel(prompt: string): string {
  return tasks.find(({ token }) => prompt.startsWith(token))?.token ?? "other";
}
