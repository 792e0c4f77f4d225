import { Florence2Error, quote } from "../../core/errors.ts";
import type { DetectedObject } from "./objects.ts";
import type { GeneratedText } from "./parsing/generated_text.ts";
import { parseGeneratedText } from "./parsing/pure_text.ts";
import type { Coordinates, ImageSize, Labels, Scores } from "./parsing/rules.ts";

/** Facts that a parser needs besides the text. */
export type ParseContext = {
  /** Of the image, in pixels. */
  readonly size: ImageSize;
  readonly coordinates: Coordinates;
  readonly labels: Labels;
  readonly scores: Scores;
};

/** The kind of input of a task besides the image. */
export type TaskInput = "none" | "text" | "region";

/** One thing that the model can be asked, as a value. */
export interface Task<Token extends string = string, Answer = unknown, Input extends TaskInput = TaskInput> {
  /** The tag that users write. */
  readonly token: Token;
  readonly input: Input;
  /** The prompt for a text, or for a region as `<loc_x1><loc_y1><loc_x2><loc_y2>`. The input goes in as it is. */
  readonly prompt: (input: string) => string;
  /** Reads the answer out of the generated text. */
  readonly parse: (generated: GeneratedText, context: ParseContext) => Answer;
  /** Joins the answers to several texts. A task without it takes one text. */
  merge?(answers: readonly { readonly text: string; readonly answer: Answer }[]): Answer;
  /** The objects of an answer; without it, those of the shapes that the fifteen tasks answer in. */
  objects?(answer: Answer): readonly DetectedObject[];
}

/** A task whose defaults may be left out. */
export type TaskDefinition<Token extends string, Answer, Input extends TaskInput> = Partial<
  Task<Token, Answer, Input>
> & { readonly token: Token };

/**
 * Defines a task, for `run`, `stream`, `runBatch` and `parseAnswer`. Only the tag is needed. Left out, `input` is
 * "none", the prompt is the tag with the input behind it, and the answer is the generated text.
 *
 *     const tags = defineTask({
 *       token: "<GENERATE_TAGS>",
 *       parse: (generated, context) => parseText(generated, context).split(", "),
 *     });
 *     const { answer } = await model.run("photo.jpg", tags);  // string[]
 *
 * @throws {Florence2Error} `task_invalid` for a definition that is none
 */
export function defineTask<
  const Token extends string,
  Answer = string,
  const Input extends TaskInput = "none",
>(definition: TaskDefinition<Token, Answer, Input>): Task<Token, Answer, Input> {
  const { token, input = "none" } = definition ?? {};
  const task = {
    prompt: (about: string) => `${token}${about}`,
    parse: parseGeneratedText,
    ...definition,
    input,
  } as unknown as Task<Token, Answer, Input>;
  if (!isTask(task) || !INPUTS.includes(input)) {
    const expected = `a token (text), input (${INPUTS.join(", ")}), prompt and parse (functions)`;
    throw new Florence2Error("task_invalid", `a task is ${quote(definition)}, expected ${expected}`);
  }
  return task;
}

const INPUTS: readonly TaskInput[] = ["none", "text", "region"];

/** Whether a value is a task: JavaScript callers may give anything. */
export function isTask(value: unknown): value is Task {
  const { token, prompt, parse } = (value ?? {}) as Partial<Task>;
  return typeof token === "string" && typeof prompt === "function" && typeof parse === "function";
}
