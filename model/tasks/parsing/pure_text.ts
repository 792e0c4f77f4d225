import type { ParseContext } from "../task.ts";
import { type GeneratedText, removeTags } from "./generated_text.ts";
import { strip } from "./labels.ts";

/**
 * The generated text itself. Padding and location tags stay, and in Microsoft's rules white space too.
 */
export function parsePureText(generated: GeneratedText, { coordinates }: ParseContext): string {
  const { text } = removeTags(generated, ["<s>", "</s>"]);
  return coordinates === "integer" ? strip(text) : text;
}
