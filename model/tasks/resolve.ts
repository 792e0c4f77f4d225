import { Florence2Error } from "../../core/errors.ts";
import { florenceTokens } from "../../tokenizer/index.ts";
import { freePrompt } from "./free_prompt.ts";
import { type AnswerOf, type TaskOrPrompt, tasks } from "./list.ts";
import { BINS, expectImageSize, type ImageSize, type PixelBox, quantize } from "./parsing/locations.ts";
import type { Task } from "./task.ts";

/** A task, and the prompt that asks the model to do it. */
export type ResolvedTask<Answer = unknown> = { readonly task: Task<string, Answer>; readonly prompt: string };

/**
 * Finds out what is asked for. Text that begins with the tag of a task is that task; what it is about stands
 * behind the tag or in `input`:
 *
 *     resolveTask("<OD>")
 *     resolveTask("<OPEN_VOCABULARY_DETECTION>", "a green car")
 *     resolveTask("<REGION_TO_CATEGORY><loc_52><loc_332><loc_932><loc_774>")
 *     resolveTask("<REGION_TO_CATEGORY>", { x1: 33, y1: 160, x2: 597, y2: 372 }, { width: 640, height: 480 })
 *
 * Text goes into the prompt as it is, white space included. All else is a free prompt and reaches the model
 * unchanged. That includes another tag with text (`<VQA>What colour is the car?`, in one piece or two), as
 * fine-tuned models use it; such a tag alone is taken for a slip and refused.
 *
 * @param input a text, or a region: a box in pixels, or its tags `<loc_x1><loc_y1><loc_x2><loc_y2>`
 * @param size of the picture in pixels; needed for a box
 * @throws `task_invalid`; `image_invalid` for a size that is none
 */
export function resolveTask<Prompt extends TaskOrPrompt>(
  taskOrPrompt: Prompt,
  input?: string | PixelBox,
  size?: ImageSize,
): ResolvedTask<AnswerOf<Prompt>> {
  if (typeof taskOrPrompt !== "string") {
    throw invalid(`the task is of type ${typeof taskOrPrompt}, expected a string`);
  }
  const task: Task | undefined = tasks.find(({ token }) => taskOrPrompt.startsWith(token));
  const resolved = task
    ? { task, prompt: task.prompt(inputOf(task, taskOrPrompt.slice(task.token.length), input, size)) }
    : { task: freePrompt, prompt: freePromptOf(taskOrPrompt, input) };
  return resolved as ResolvedTask<AnswerOf<Prompt>>;
}

/** What a task's prompt is to be completed with. */
function inputOf(task: Task, behindTag: string, input: unknown, size: ImageSize | undefined): string {
  const { token } = task;
  if (isGiven(behindTag) && isGiven(input)) {
    throw invalid(`${token} is given two inputs, ${show(behindTag)} and ${show(input)}`);
  }
  const given = isGiven(behindTag) ? behindTag : input;
  if (task.input === "none") {
    if (isGiven(given)) throw invalid(`${token} takes no input, found ${show(given)}`);
    return "";
  }
  if (task.input === "region") return regionTags(token, given, size);
  if (typeof given !== "string" || given.trim() === "") {
    throw invalid(`${token} needs a text, found ${show(given)}`);
  }
  refuseTags(given, [...sequenceTags, ...florenceTokens, ...taskTags]);
  return given;
}

function freePromptOf(prompt: string, input: unknown): string {
  const isBareTag = /^<[^<>\s]+>$/.test(prompt.trim());
  if (isGiven(input) && !(isBareTag && typeof input === "string")) {
    throw invalid(`a free prompt takes no input, found ${show(input)}; write it into the prompt`);
  }
  const whole = isGiven(input) ? `${prompt}${input}` : prompt;
  refuseTags(whole, [...sequenceTags, ...taskTags]);
  if (whole.trim() === "") throw invalid("the prompt is empty");
  if (isBareTag && whole === prompt) throw invalid(`unknown task ${show(prompt)}`);
  return whole;
}

const taskTags: readonly string[] = tasks.map(({ token }) => token);

/** Tokens that would change where the model believes the prompt or the picture to be. */
const sequenceTags = ["<s>", "</s>", "<pad>", "<unk>", "<mask>", "<image>"];

function refuseTags(text: string, refused: readonly string[]): void {
  const tag = text.match(/<\/?\w+>/g)?.find((found) => refused.includes(found));
  if (tag !== undefined) {
    throw invalid(
      `${tag} has a meaning of its own and cannot be part of ${show(text)}; a task's tag comes first`,
    );
  }
}

function regionTags(token: string, given: unknown, size: ImageSize | undefined): string {
  const bins = typeof given === "string" ? binsOfTags(given) : binsOfBox(token, given, size);
  if (bins === undefined) {
    const expected = `four tags <loc_0> to <loc_${BINS - 1}> for x1, y1, x2, y2, or a box { x1, y1, x2, y2 } in pixels`;
    throw invalid(`${token} needs a region, ${expected}; found ${show(given)}`);
  }
  const [x1, y1, x2, y2] = bins as [number, number, number, number];
  if (x2 < x1 || y2 < y1)
    throw invalid(`${token}: the region's right lower corner comes first in ${show(given)}`);
  return bins.map((bin) => `<loc_${bin}>`).join("");
}

function binsOfTags(text: string): number[] | undefined {
  const region = /^(?:<loc_(?:0|[1-9][0-9]{0,2})>){4}$/;
  return region.test(text.trim()) ? text.match(/[0-9]+/g)!.map(Number) : undefined;
}

function binsOfBox(token: string, given: unknown, size: ImageSize | undefined): number[] | undefined {
  const { x1, y1, x2, y2 } = (given ?? {}) as Partial<PixelBox>;
  const edges = [x1, y1, x2, y2];
  if (!edges.every(Number.isFinite)) return undefined;
  if (size === undefined) throw invalid(`${token}: a box in pixels needs the size of the picture`);
  expectImageSize(size);
  return edges.map((edge, i) => quantize(edge!, i % 2 === 0 ? size.width : size.height));
}

const isGiven = (input: unknown): boolean => input !== undefined && input !== null && input !== "";

function show(value: unknown): string {
  if (!isGiven(value)) return "none";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

function invalid(problem: string): Florence2Error {
  const message = `${problem}. Tasks: ${taskTags.join(" ")}, or a free prompt`;
  return new Florence2Error("task_invalid", message, { tasks: taskTags });
}
