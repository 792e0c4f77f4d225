import { parseText } from "./parsing/pure_text.ts";
import { defineTask } from "./task.ts";

/** A few sentences about the image. */
export const detailedCaption = defineTask({
  token: "<DETAILED_CAPTION>",
  input: "none",
  prompt: () => "Describe in detail what is shown in the image.",
  parse: parseText,
});
