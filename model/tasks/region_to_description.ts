import { parsePureText } from "./parsing/pure_text.ts";
import { defineTask } from "./task.ts";

/** A description of what is in a box. Models repeat the location tags of the box behind it. */
export const regionToDescription = defineTask({
  token: "<REGION_TO_DESCRIPTION>",
  input: "region",
  prompt: (region) => `What does the region ${region} describe?`,
  parse: parsePureText,
});
