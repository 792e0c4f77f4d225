import { type BoxAnswer, parseLabelledBoxes } from "./parsing/boxes.ts";
import type { GeneratedText } from "./parsing/generated_text.ts";
import { type PolygonAnswer, parseLabelledPolygons } from "./parsing/polygons.ts";
import { defineTask, type ParseContext } from "./task.ts";

/** Boxes or masks of one text, never both; the lists of the other kind are empty. */
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

/** The places of the things that a text names. Several texts are asked one by one and answered together. */
export const openVocabularyDetection = defineTask({
  token: "<OPEN_VOCABULARY_DETECTION>",
  input: "text",
  prompt: (name) => `Locate ${name} in the image.`,
  parse: parseBoxesOrPolygons,
  merge: mergeAnswers,
});

function parseBoxesOrPolygons(generated: GeneratedText, context: ParseContext): BoxOrPolygonAnswer {
  const none = generated.tokens === undefined ? undefined : [];
  let boxes: BoxAnswer = { bboxes: [], labels: [], ...(none && { scores: none }) };
  let masks: PolygonAnswer = { polygons: [], labels: [], ...(none && { scores: none }) };
  if (generated.text.includes("<poly>")) masks = parseLabelledPolygons(generated, context);
  else boxes = parseLabelledBoxes(generated, context);
  return {
    bboxes: boxes.bboxes,
    bboxes_labels: boxes.labels,
    polygons: masks.polygons,
    polygons_labels: masks.labels,
    ...(boxes.scores && masks.scores && { scores: boxes.scores, polygons_scores: masks.scores }),
  };
}

/** All places in the order of the texts; each is labelled with the text that it was found by. */
function mergeAnswers(
  answers: readonly { readonly text: string; readonly answer: BoxOrPolygonAnswer }[],
): BoxOrPolygonAnswer {
  const own = answers.map(({ answer }) => answer);
  const named = (kind: "bboxes" | "polygons") =>
    answers.flatMap(({ text, answer }) => answer[kind].map(() => text));
  const isScored = own.every(({ scores }) => scores !== undefined);
  return {
    bboxes: own.flatMap(({ bboxes }) => bboxes),
    bboxes_labels: named("bboxes"),
    polygons: own.flatMap(({ polygons }) => polygons),
    polygons_labels: named("polygons"),
    ...(isScored && {
      scores: own.flatMap(({ scores }) => scores ?? []),
      polygons_scores: own.flatMap((answer) => answer.polygons_scores ?? []),
    }),
  };
}
