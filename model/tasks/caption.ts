import { parseText } from "./parsing/pure_text.ts";
import { defineTask } from "./task.ts";

/** One sentence about the image. */
export const caption = defineTask({
  token: "<CAPTION>",
  input: "none",
  prompt: () => "What does the image describe?",
  parse: parseText,
});
