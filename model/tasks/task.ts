import type { GeneratedText } from "./parsing/generated_text.ts";
import type { Coordinates, ImageSize } from "./parsing/locations.ts";

/** What a parser needs to know besides the text. */
export type ParseContext = { readonly size: ImageSize; readonly coordinates: Coordinates };

/** One thing that Florence-2 can be asked, as a value. */
export type Task<Token extends string = string, Answer = unknown> = {
  /** The tag that users write. It never reaches the model: the prompt takes its place. */
  readonly token: Token;
  /** What the user gives besides the picture. */
  readonly input: "none" | "text" | "region";
  /** The sentence that the model was trained on. The input goes in as it is. */
  readonly prompt: (input: string) => string;
  /** Reads the answer out of the generated text, special tokens included. */
  readonly parse: (generated: GeneratedText, context: ParseContext) => Answer;
};

/** Keeps the types of a task's token and answer. */
export function defineTask<const Token extends string, Answer>(
  task: Task<Token, Answer>,
): Task<Token, Answer> {
  return task;
}
