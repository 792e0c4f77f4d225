import { parseText } from "./parsing/pure_text.ts";
import { defineTask } from "./task.ts";

/** The category of the object in a box. */
export const regionToCategory = defineTask({
  token: "<REGION_TO_CATEGORY>",
  input: "region",
  prompt: (region) => `What is the region ${region}?`,
  parse: parseText,
});
