import { parseText } from "./parsing/pure_text.ts";
import { defineTask } from "./task.ts";

/** The text in a box. */
export const regionToOcr = defineTask({
  token: "<REGION_TO_OCR>",
  input: "region",
  prompt: (region) => `What text is in the region ${region}?`,
  parse: parseText,
});
