import { parsePureText } from "./parsing/pure_text.ts";
import { defineTask } from "./task.ts";

/** A paragraph about the picture. */
export const moreDetailedCaption = defineTask({
  token: "<MORE_DETAILED_CAPTION>",
  input: "none",
  prompt: () => "Describe with a paragraph what is shown in the image.",
  parse: parsePureText,
});
