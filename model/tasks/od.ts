import { parseLabelledBoxes } from "./parsing/boxes.ts";
import { defineTask } from "./task.ts";

/** Objects with their categories. */
export const objectDetection = defineTask({
  token: "<OD>",
  input: "none",
  prompt: () => "Locate the objects with category name in the image.",
  parse: parseLabelledBoxes,
});
