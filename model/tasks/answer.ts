import { freePrompt } from "./free_prompt.ts";
import { type AnswerOf, type TaskOrPrompt, tasks } from "./list.ts";
import { type DetectedObject, hasPlaces, objectsOf } from "./objects.ts";
import type { GeneratedText } from "./parsing/generated_text.ts";
import { plainText } from "./parsing/labels.ts";
import { expectImageSize, type ImageSize, type ParseOptions, rulesOf } from "./parsing/rules.ts";
import { isTask, type Task } from "./task.ts";

/**
 * Reads the answer out of generated text.
 *
 *     parseAnswer("<OD>", "</s><s>cat<loc_1><loc_2><loc_3><loc_4></s>", { width: 1000, height: 1000 })
 *     // { bboxes: [[1.5, 2.5, 3.5, 4.5]], labels: ["cat"] }
 *
 * @param task a task, or its tag, with or without text beside it; of any other text, the answer is the text
 * @param generated decoded text with special tokens; `decodeGenerated` makes one that gives scores
 * @param size of the image as it was given, in pixels
 * @throws {Florence2Error} `image_invalid`, `option_invalid`
 */
export function parseAnswer<Asked extends TaskOrPrompt | Task>(
  task: Asked,
  generated: string | GeneratedText,
  size: ImageSize,
  options: ParseOptions = {},
): AnswerOf<Asked> {
  return readAnswer(task, generated, size, options).answer;
}

/** An answer in its task's shape, and what people and programs ask for first. */
export interface ReadAnswer<Answer> {
  readonly answer: Answer;
  /** Its objects, with clean labels whatever the rules of the answer; empty for an answer in words. */
  readonly objects: readonly DetectedObject[];
  /** Clean text: the answer in words, or the labels of its objects, one a line. */
  readonly text: string;
}

/** Reads the answer out of generated text, as `parseAnswer` does, with its objects and its clean text. */
export function readAnswer<Asked extends TaskOrPrompt | Task>(
  task: Asked,
  generated: string | GeneratedText,
  size: ImageSize,
  options: ParseOptions = {},
): ReadAnswer<AnswerOf<Asked>> {
  expectImageSize(size);
  const rules = rulesOf(options);
  const own: Task<string, AnswerOf<Asked>> = taskOf(task);
  const scored = typeof generated === "string" ? { text: generated } : generated;
  const clean = own.parse(scored, { size, ...rules, labels: "clean" });
  const answer = rules.labels === "clean" ? clean : own.parse(scored, { size, ...rules });
  return { answer, ...summaryOf(own, clean, scored.text) };
}

/** The objects and the text of a clean answer. */
export function summaryOf<Answer>(
  task: Task<string, Answer>,
  answer: Answer,
  rawText: string,
): Pick<ReadAnswer<Answer>, "objects" | "text"> {
  const objects = task.objects?.(answer) ?? objectsOf(answer);
  const isText = objects.length === 0 && !hasPlaces(answer);
  const labels = objects.map(({ label }) => label).filter((label) => label !== "");
  return { objects, text: isText ? plainText(rawText) : labels.join("\n") };
}

function taskOf<Answer>(asked: string | Task): Task<string, Answer> {
  const known = isTask(asked) ? asked : tasks.find(({ token }) => String(asked).includes(token));
  return (known ?? freePrompt) as Task<string, Answer>;
}
