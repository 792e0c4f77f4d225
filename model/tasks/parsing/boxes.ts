import type { ParseContext } from "../task.ts";
import { scoreOf } from "./confidence.ts";
import { type GeneratedText, removeTags } from "./generated_text.ts";
import { cleanLabel, keepAscii, labelOf } from "./labels.ts";
import { dequantizePoints } from "./rules.ts";
import { bareRuns, LOCATION_TAGS, type Phrase, phrases, spanBefore } from "./runs.ts";

/** Boxes in pixels: left, upper, right, lower edge. */
export type BoxAnswer = {
  bboxes: [number, number, number, number][];
  /** One for each box. */
  labels: string[];
  /** Confidence of each box, 0 to 1, where the tokens' probabilities are known. */
  scores?: number[];
};

/** Boxes with descriptions: `label<loc_x1><loc_y1><loc_x2><loc_y2>`, a label having one box or more. */
export function parseLabelledBoxes(generated: GeneratedText, context: ParseContext): BoxAnswer {
  return parseBoxes(generated, context, (text) => phrases(text, LOCATION_TAGS));
}

/** Boxes without labels; text between them is ignored. */
export function parseUnlabelledBoxes(generated: GeneratedText, context: ParseContext): BoxAnswer {
  return parseBoxes(generated, context, (text) => bareRuns(text, LOCATION_TAGS));
}

/** Boxes with descriptions, without those whose label is in `excluded` (compared exactly). */
export function parseGroundedPhrases(
  generated: GeneratedText,
  context: ParseContext,
  excluded: ReadonlySet<string>,
): BoxAnswer {
  return parseBoxes(generated, context, (text) =>
    phrases(text, LOCATION_TAGS).filter((phrase) => !excluded.has(labelOf(phrase.text) ?? "")),
  );
}

function parseBoxes(
  generated: GeneratedText,
  { size, coordinates, labels, scores }: ParseContext,
  find: (text: string) => Phrase[],
): BoxAnswer {
  const clean = removeTags(generated, ["<s>", "</s>", "<pad>"]);
  const answer: BoxAnswer = { bboxes: [], labels: [] };
  if (clean.tokens !== undefined) answer.scores = [];
  for (const { text, between, tags } of find(clean.text)) {
    const label = labelOf(text);
    if (label === undefined) continue;
    // One to three locations at the end make no box.
    for (let i = 0; i + 4 <= tags.length; i += 4) {
      const corners = tags.slice(i, i + 4);
      const bins = corners.map((tag) => tag.bin!);
      answer.bboxes.push(dequantizePoints(bins, size, coordinates) as BoxAnswer["bboxes"][number]);
      answer.labels.push(labels === "clean" ? cleanLabel(between) : keepAscii(label));
      answer.scores?.push(scoreOf(clean, { tags: corners, label: spanBefore(tags[0]!, text) }, scores)!);
    }
  }
  return answer;
}
