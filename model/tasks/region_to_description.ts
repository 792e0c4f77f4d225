import { parseText } from "./parsing/pure_text.ts";
import { defineTask } from "./task.ts";

/** A description of the contents of a box. */
export const regionToDescription = defineTask({
  token: "<REGION_TO_DESCRIPTION>",
  input: "region",
  prompt: (region) => `What does the region ${region} describe?`,
  parse: parseText,
});
