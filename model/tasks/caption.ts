import { parsePureText } from "./parsing/pure_text.ts";
import { defineTask } from "./task.ts";

/** One sentence about the picture. */
export const caption = defineTask({
  token: "<CAPTION>",
  input: "none",
  prompt: () => "What does the image describe?",
  parse: parsePureText,
});
