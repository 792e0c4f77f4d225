import { parsePolygons } from "./parsing/polygons.ts";
import { defineTask } from "./task.ts";

/** The mask of the object in a box. */
export const regionToSegmentation = defineTask({
  token: "<REGION_TO_SEGMENTATION>",
  input: "region",
  prompt: (region) => `What is the polygon mask of region ${region}`,
  parse: parsePolygons,
});
