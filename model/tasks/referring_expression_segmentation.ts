import { parsePolygons } from "./parsing/polygons.ts";
import { defineTask } from "./task.ts";

/** The mask of what a text describes. */
export const referringExpressionSegmentation = defineTask({
  token: "<REFERRING_EXPRESSION_SEGMENTATION>",
  input: "text",
  prompt: (expression) => `Locate ${expression} in the image with mask`,
  parse: parsePolygons,
});
