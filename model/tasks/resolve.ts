import { Florence2Error, quote } from "../../core/errors.ts";
import { nearestName } from "../../core/names.ts";
import { freePrompt } from "./free_prompt.ts";
import { type AnswerOf, type TaskOrPrompt, tasks } from "./list.ts";
import type { ImageSize } from "./parsing/rules.ts";
import { type Region, regionTags } from "./region.ts";
import { isTask, type Task } from "./task.ts";

/** A task, and the prompt that asks the model to do it. */
export type ResolvedTask<Answer = unknown> = { readonly task: Task<string, Answer>; readonly prompt: string };

/**
 * Finds out what is asked for. A text that contains the tag of one of the tasks is that task; its input stands beside
 * the tag or in `input`:
 *
 *     resolveTask("<OD>")
 *     resolveTask("<OPEN_VOCABULARY_DETECTION>", "a green car")
 *     resolveTask("<REGION_TO_CATEGORY><loc_52><loc_332><loc_932><loc_774>")
 *     resolveTask("<REGION_TO_CATEGORY>", [33, 160, 597, 372], { width: 640, height: 480 })
 *
 * Input goes into the prompt as it is, with its white space, location tokens, `<and>` and `<sep>`. Any other text is a
 * free prompt and reaches the model as it is, unknown tags included: fine-tuned models use them (`<GENERATE_TAGS>`,
 * `<VQA>What colour is the car?`). Text or a region for such a tag goes behind it. (transformers:
 * Florence2Processor._construct_prompts.)
 *
 * @param input a text, or a region: a box in pixels, or its tags `<loc_x1><loc_y1><loc_x2><loc_y2>`
 * @param size of the image in pixels; needed for a box
 * @param warn takes warnings: an unknown tag that is nearly one of the tasks', a special token in a text, a region that
 *   reaches beyond the image
 * @throws {Florence2Error} `task_invalid` for missing or surplus input, and for a task's name without its brackets;
 *   `image_invalid` for a size that is none
 */
export function resolveTask<Asked extends TaskOrPrompt | Task>(
  asked: Asked,
  input?: string | Region,
  size?: ImageSize,
  warn: (message: string) => void = () => {},
): ResolvedTask<AnswerOf<Asked>> {
  const { task, given } = taskOf(asked, input, warn);
  const resolved = { task, prompt: task.prompt(inputOf(task, given, size, warn)) };
  return resolved as ResolvedTask<AnswerOf<Asked>>;
}

/** The task of a text or an object, and its input. */
function taskOf(
  asked: string | Task,
  input: unknown,
  warn: (message: string) => void,
): { readonly task: Task; readonly given: unknown } {
  if (isTask(asked)) return { task: asked, given: input };
  if (typeof asked !== "string") {
    throw invalid(
      `the task is of type ${asked === null ? "null" : typeof asked}, expected a tag, a prompt or a task`,
    );
  }
  const task = tasks.find(({ token }) => asked.includes(token));
  if (task !== undefined) {
    const beside = task.input === "none" ? asked.replace(task.token, "") : asked.replaceAll(task.token, "");
    if (isGiven(beside) && isGiven(input)) {
      throw invalid(`${task.token} is given two inputs, ${quote(beside)} and ${quote(input)}`);
    }
    return { task, given: isGiven(beside) ? beside : input };
  }
  refuseBareName(asked);
  refuseTags(asked);
  warnOfNearTag(asked, warn);
  if (!isGiven(input)) return { task: freePrompt, given: asked };
  const isTag = /^\s*<[^<>\s]+>\s*$/.test(asked);
  if (!isTag) {
    throw invalid(`a free prompt takes no input, found ${quote(input)}; write it into the prompt`);
  }
  // A tag of a fine-tuned model, with its text or region behind it.
  const own: Task = { ...freePrompt, input: typeof input === "string" ? "text" : "region" };
  return { task: { ...own, prompt: (text) => `${asked}${text}` }, given: input };
}

/** The text that completes a task's prompt. */
function inputOf(
  { token, input }: Task,
  given: unknown,
  size: ImageSize | undefined,
  warn: (message: string) => void,
): string {
  if (input === "none") {
    if (isGiven(given)) throw invalid(`${token} takes no input, found ${quote(given)}`);
    return "";
  }
  if (input === "region") {
    if (!isGiven(given)) throw invalid(`${token} needs a region: [x1, y1, x2, y2] in pixels`);
    return regionTags(given, size, warn);
  }
  if (typeof given !== "string" || given.trim() === "") {
    throw invalid(token === "" ? "the prompt is empty" : `${token} needs a text, found ${shown(given)}`);
  }
  refuseTags(given);
  const special = given.match(SEQUENCE_TOKENS)?.[0];
  if (special !== undefined) {
    warn(`${special} in ${quote(given)} reaches the model as a special token, not as text.`);
  }
  return given;
}

/** Tokens that begin, end or fill sequences. */
const SEQUENCE_TOKENS = /<\/?s>|<pad>|<unk>|<mask>/;

/** transformers refuses `<image>`, which stands for the image, and a task's tag that does not stand alone. */
function refuseTags(text: string): void {
  const tag = ["<image>", ...tasks.map(({ token }) => token)].find((refused) => text.includes(refused));
  if (tag !== undefined)
    throw invalid(`${tag} has a meaning of its own and cannot be part of ${quote(text)}`);
}

const names = tasks.map(({ token }) => token.slice(1, -1));

/** `OD` for `<OD>`: as a prompt, it would be answered with nonsense. */
function refuseBareName(prompt: string): void {
  const typed = prompt
    .trim()
    .toUpperCase()
    .replace(/[\s-]+/g, "_");
  const name = names.find((known) => known === typed);
  if (name !== undefined) throw invalid(`${quote(prompt)} is no prompt: did you mean "<${name}>"?`);
}

/** An unknown tag may be a fine-tuned model's own, or a slip. */
function warnOfNearTag(prompt: string, warn: (message: string) => void): void {
  const name = /^\s*<([^<>\s]{1,64})>/.exec(prompt)?.[1];
  const near = name && nearestName(name, names);
  if (near) warn(`<${name}> is none of the tasks and goes to the model as it is: did you mean "<${near}>"?`);
}

const isGiven = (input: unknown): boolean => input !== undefined && input !== null && input !== "";
const shown = (value: unknown) => (isGiven(value) ? quote(value) : "none");

function invalid(problem: string): Florence2Error {
  const known = tasks.map(({ token }) => token);
  const end = problem.endsWith("?") ? "" : ".";
  const message = `${problem}${end} Tasks: ${known.join(" ")}, or a free prompt`;
  return new Florence2Error("task_invalid", message, { tasks: known });
}
