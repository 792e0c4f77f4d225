import { Florence2Error } from "../../core/errors.ts";
import { type Field, hasMember, items, member, text, wholeFile } from "../../files/fields.ts";
import { parseJson } from "../../files/json.ts";
import type { AskedImage, Prompt } from "./data_set.ts";
import { readTruth } from "./truth.ts";

/**
 * The plain format: one image a line,
 * `{ "file", "prompts": [{ "task", "text"?, "truth" }, ...] }`; other members are ignored. The form of `truth`
 * follows from the task (truth.ts).
 *
 * @param file its name in messages
 */
export function readJsonLines(content: string, file: string): AskedImage[] {
  return parseLines(content, file).map((line) => ({
    file: text(member(line, "file")),
    prompts: items(member(line, "prompts"), "a list of prompts").map(readPrompt),
  }));
}

/** The values of a JSONL file; empty lines are passed over. */
export function parseLines(content: string, file: string): Field[] {
  return content.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    const place = `${file}, line ${i + 1}`;
    return [wholeFile(place, parseLine(line, place), "data_invalid")];
  });
}

function parseLine(line: string, place: string) {
  try {
    return parseJson(line, place, "data_invalid");
  } catch (error) {
    if (!(error instanceof Florence2Error)) throw error;
    // Within its line the error is always on the first.
    const { problem, column } = error.details;
    const message = `${place}, column ${column} is not valid JSON: ${problem}.`;
    throw new Florence2Error("data_invalid", message, { place, column, problem });
  }
}

function readPrompt(field: Field): Prompt {
  const task = text(member(field, "task"));
  return {
    task,
    ...(hasMember(field, "text") && { text: text(member(field, "text")) }),
    truth: readTruth(task, member(field, "truth")),
  };
}
