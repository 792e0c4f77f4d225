import { parseQuads } from "./parsing/quads.ts";
import { defineTask } from "./task.ts";

/** The lines of text in the image, each with its four corners. */
export const ocrWithRegion = defineTask({
  token: "<OCR_WITH_REGION>",
  input: "none",
  prompt: () => "What is the text in the image, with regions?",
  parse: parseQuads,
});
