import { parsePureText } from "./parsing/pure_text.ts";
import { defineTask } from "./task.ts";

/** A prompt of the user's own, for instance of a fine-tuned model; the answer is the text. */
export const freePrompt = defineTask({
  token: "",
  input: "text",
  prompt: (text) => text,
  parse: parsePureText,
});
