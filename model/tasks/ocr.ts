import { parseText } from "./parsing/pure_text.ts";
import { defineTask } from "./task.ts";

/** All text in the image, with nothing between its lines. */
export const ocr = defineTask({
  token: "<OCR>",
  input: "none",
  prompt: () => "What is the text in the image?",
  parse: parseText,
});
