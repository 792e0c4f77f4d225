/** The questions about each image: tasks by their tags or plain names, and free prompts. */
import { Florence2Error, quote } from "../../core/errors.ts";
import { nearestName } from "../../core/names.ts";
import { type ImageSize, type Region, resolveTask, tasks } from "../../model/tasks/index.ts";

const NAMES = tasks.map(({ token }) => token.slice(1, -1));

/** A task or prompt with what it takes. */
export interface CommandQuestion {
  readonly task: string;
  readonly text?: string | readonly string[];
  readonly region?: Region;
}

/**
 * The tag that a word stands for.
 *
 *     taskNamed("od")                      // "<OD>"
 *     taskNamed("more-detailed-caption")   // "<MORE_DETAILED_CAPTION>"
 *     taskNamed("photo.jpg")               // undefined
 */
export function taskNamed(word: string): string | undefined {
  const name = word.toUpperCase().replace(/^<|>$/g, "").replaceAll("-", "_");
  return NAMES.includes(name) ? `<${name}>` : undefined;
}

/**
 * The task or prompt that an argument is: a tag, a name of one, or words.
 *
 * @throws {Florence2Error} option_invalid for a single word that is no task: as a prompt it would be answered with nonsense
 */
export function questionOf(argument: string): string {
  const task = taskNamed(argument);
  if (task !== undefined) return task;
  if (argument.startsWith("<") || /\s/.test(argument.trim())) return argument;
  const near = nearestName(argument, NAMES);
  const remedy = near ? `did you mean ${near}?` : "florence2 --help lists the tasks.";
  throw new Florence2Error("option_invalid", `${quote(argument)} is neither an image nor a task; ${remedy}`, {
    argument,
  });
}

/**
 * Gives the texts to the tasks that take a text and the region to those that take a region, and checks all.
 *
 * @throws {Florence2Error} task_invalid; option_invalid for a text or region that no task takes
 */
export function questionsFor(
  asked: readonly string[],
  texts: readonly string[],
  region: Region | undefined,
  size: ImageSize,
): CommandQuestion[] {
  const text = texts.length > 1 ? texts : texts[0];
  const questions = asked.map((task): CommandQuestion => {
    const takes =
      tasks.find(({ token }) => task === token)?.input ?? (/^<[^<>\s]+>$/.test(task) ? "text" : "none");
    if (takes === "text" && text !== undefined) return { task, text };
    return takes === "region" && region !== undefined ? { task, region } : { task };
  });
  for (const [option, value] of [
    ["text", text],
    ["region", region],
  ] as const) {
    if (value === undefined || questions.some((question) => question[option] !== undefined)) continue;
    const message = `--${option} is given, and ${asked.join(" ")} ${asked.length === 1 ? "takes" : "take"} none.`;
    throw new Florence2Error("option_invalid", message, { [option]: value });
  }
  for (const { task, text, region } of questions) {
    for (const input of Array.isArray(text) ? text : [region ?? text]) resolveTask(task, input, size);
  }
  return questions;
}

/** @throws {Florence2Error} option_invalid */
export function parseRegion(text: string | undefined): Region | undefined {
  if (text === undefined) return undefined;
  const edges = text.split(",").map((edge) => (edge.trim() === "" ? Number.NaN : Number(edge)));
  if (edges.length !== 4 || !edges.every(Number.isFinite)) {
    const message = `--region is ${text}, expected four numbers X1,Y1,X2,Y2 in pixels`;
    throw new Florence2Error("option_invalid", message, { region: text });
  }
  return edges as [number, number, number, number];
}
