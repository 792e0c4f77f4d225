import { parseText } from "./parsing/pure_text.ts";
import { defineTask } from "./task.ts";

/** A paragraph about the image. */
export const moreDetailedCaption = defineTask({
  token: "<MORE_DETAILED_CAPTION>",
  input: "none",
  prompt: () => "Describe with a paragraph what is shown in the image.",
  parse: parseText,
});
