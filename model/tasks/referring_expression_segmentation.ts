import { type PolygonAnswer, parsePolygons } from "./parsing/polygons.ts";
import { defineTask } from "./task.ts";

/** The mask of the thing that a text describes. Several texts are asked one by one and answered together. */
export const referringExpressionSegmentation = defineTask({
  token: "<REFERRING_EXPRESSION_SEGMENTATION>",
  input: "text",
  prompt: (expression) => `Locate ${expression} in the image with mask`,
  parse: parsePolygons,
  merge: mergeMasks,
});

/** All masks in the order of the texts; each is labelled with the text that it was found by. */
function mergeMasks(
  answers: readonly { readonly text: string; readonly answer: PolygonAnswer }[],
): PolygonAnswer {
  const isScored = answers.every(({ answer }) => answer.scores !== undefined);
  return {
    polygons: answers.flatMap(({ answer }) => answer.polygons),
    labels: answers.flatMap(({ text, answer }) => answer.polygons.map(() => text)),
    ...(isScored && { scores: answers.flatMap(({ answer }) => answer.scores ?? []) }),
  };
}
