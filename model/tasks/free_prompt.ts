import { defineTask } from "./task.ts";

/**
 * A prompt of the user's own, for instance of a fine-tuned model. The answer is the generated text, with its
 * location tokens: only the user knows their form.
 */
export const freePrompt = defineTask({ token: "", input: "text" });
