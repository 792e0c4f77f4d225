import type { ParseContext } from "../task.ts";
import { type GeneratedText, removeTags } from "./generated_text.ts";
import { plainText } from "./labels.ts";
import { strip } from "./white_space.ts";

/**
 * The generated text. Clean, it has no special tokens, locations among them: models repeat the region that they
 * were asked about. By the rules of the processors padding and locations stay, by Microsoft's also white space.
 */
export function parseText(generated: GeneratedText, { labels }: ParseContext): string {
  if (labels === "clean") return plainText(generated.text);
  const { text } = removeTags(generated, ["<s>", "</s>"]);
  return labels === "transformers" ? strip(text) : text;
}

/** The same with locations, for prompts whose answers may have any form. */
export function parseGeneratedText(generated: GeneratedText, context: ParseContext): string {
  if (context.labels === "clean") return plainText(generated.text, { keepLocations: true });
  return parseText(generated, context);
}
