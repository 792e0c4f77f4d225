/** Answers on stdout: tables for people, lines of JSON for programs. */
import { marksOf } from "../../draw/marks.ts";
import type { Result } from "../../model/results.ts";
import type { AnswerOf, DetectedObject } from "../../model/tasks/index.ts";
import type { NamedImage } from "./images.ts";
import type { CommandQuestion } from "./questions.ts";

/** One answer as a line of JSON: what was asked, the answer, and with `isVerbose` how it came about. */
export function jsonLine(
  asked: { readonly file: string; readonly task: string; readonly input: unknown },
  result: Result<AnswerOf<string>>,
  isVerbose = false,
): string {
  const { answer, score, width, height, ...rest } = result;
  return JSON.stringify({ ...asked, answer, score, width, height, ...(isVerbose && rest) });
}

export function printAnswer(
  _: NamedImage,
  { task }: CommandQuestion,
  result: Result<AnswerOf<string>>,
): void {
  const { answer, objects, score, text } = result;
  console.log(`\n${task}  (score ${score.toFixed(3)})`);
  if (objects.length > 0) console.table(tableOf(objects));
  else console.log(typeof answer === "string" ? text : "nothing found");
}

/** One row for each box, quad or mask, numbers rounded for reading. */
function tableOf(objects: readonly DetectedObject[]): Record<string, string | number>[] {
  return marksOf(objects).map(({ label, kind, outlines, score }) => {
    const points = outlines.flat();
    const corners = kind === "box" ? [...points.slice(0, 2), ...points.slice(4, 6)] : points;
    const place =
      kind === "mask" ? `${points.length / 2} points` : corners.map((value) => value.toFixed(1)).join(" ");
    return { label, place, ...(score !== undefined && { confidence: Number(score.toFixed(3)) }) };
  });
}
