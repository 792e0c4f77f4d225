import { parseLabelledBoxes } from "./parsing/boxes.ts";
import { defineTask } from "./task.ts";

/** Objects with short descriptions. */
export const denseRegionCaption = defineTask({
  token: "<DENSE_REGION_CAPTION>",
  input: "none",
  prompt: () => "Locate the objects in the image, with their descriptions.",
  parse: parseLabelledBoxes,
});
