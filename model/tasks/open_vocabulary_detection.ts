import { type BoxAnswer, parseLabelledBoxes } from "./parsing/boxes.ts";
import type { GeneratedText } from "./parsing/generated_text.ts";
import { type PolygonAnswer, parseLabelledPolygons } from "./parsing/polygons.ts";
import { defineTask, type ParseContext } from "./task.ts";

/** Boxes or masks, never both; the lists of the other kind are empty. */
export type BoxOrPolygonAnswer = {
  bboxes: BoxAnswer["bboxes"];
  bboxes_labels: string[];
  polygons: PolygonAnswer["polygons"];
  polygons_labels: string[];
  /** Confidence of each box, 0 to 1, where the tokens' probabilities are known. */
  scores?: number[];
  /** The same of each mask. */
  polygons_scores?: number[];
};

/** Where what a text names can be seen. */
export const openVocabularyDetection = defineTask({
  token: "<OPEN_VOCABULARY_DETECTION>",
  input: "text",
  prompt: (name) => `Locate ${name} in the image.`,
  parse: parseBoxesOrPolygons,
});

function parseBoxesOrPolygons(generated: GeneratedText, context: ParseContext): BoxOrPolygonAnswer {
  const none = generated.tokens === undefined ? undefined : [];
  let boxes: BoxAnswer = { bboxes: [], labels: [], scores: none };
  let masks: PolygonAnswer = { polygons: [], labels: [], scores: none };
  if (generated.text.includes("<poly>")) masks = parseLabelledPolygons(generated, context);
  else boxes = parseLabelledBoxes(generated, context);

  const answer = {
    bboxes: boxes.bboxes,
    bboxes_labels: boxes.labels,
    polygons: masks.polygons,
    polygons_labels: masks.labels,
  };
  if (generated.tokens === undefined) return answer;
  return { ...answer, scores: boxes.scores, polygons_scores: masks.scores };
}
