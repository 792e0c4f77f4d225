import { freePrompt } from "./free_prompt.ts";
import { type AnswerOf, type TaskOrPrompt, tasks } from "./list.ts";
import type { GeneratedText } from "./parsing/generated_text.ts";
import { type Coordinates, expectCoordinates, expectImageSize, type ImageSize } from "./parsing/locations.ts";
import type { Task } from "./task.ts";

export type ParseOptions = {
  /** Whose numbers and rules: Microsoft's ("float", the default) or transformers' ("integer"). */
  readonly coordinates?: Coordinates;
};

/**
 * Reads the answer out of generated text.
 *
 * @param task a task, or its tag, with or without text behind it; of all other text, the answer is the text
 * @param generated decoded text with special tokens; `decodeGenerated` makes one that gives scores
 * @param size of the picture as it was given, in pixels
 * @throws `image_invalid`, `option_invalid`
 */
export function parseAnswer<Answer>(
  task: Task<string, Answer>,
  generated: string | GeneratedText,
  size: ImageSize,
  options?: ParseOptions,
): Answer;
export function parseAnswer<Prompt extends TaskOrPrompt>(
  task: Prompt,
  generated: string | GeneratedText,
  size: ImageSize,
  options?: ParseOptions,
): AnswerOf<Prompt>;
export function parseAnswer(
  task: Task | string,
  generated: string | GeneratedText,
  size: ImageSize,
  { coordinates = "float" }: ParseOptions = {},
): unknown {
  expectImageSize(size);
  expectCoordinates(coordinates);
  const { parse } = typeof task === "string" ? taskOf(task) : task;
  return parse(typeof generated === "string" ? { text: generated } : generated, { size, coordinates });
}

function taskOf(prompt: string): Task {
  return tasks.find(({ token }) => prompt.startsWith(token)) ?? freePrompt;
}
