/** Answers on stdout: tables for people, lines of JSON for programs. */
import { marksOf } from "../../draw/marks.ts";
import type { Result } from "../../model/results.ts";
import type { AnswerOf } from "../../model/tasks/index.ts";
import type { NamedImage } from "./images.ts";
import type { CommandQuestion } from "./questions.ts";

/** One answer as a line of JSON: what was asked, the answer, and with `isVerbose` how it came about. */
export function jsonLine(
  { file, task, text }: { readonly file: string; readonly task: string; readonly text?: string },
  result: Result<AnswerOf<string>>,
  isVerbose = false,
): string {
  const { answer, score, width, height, ...rest } = result;
  return JSON.stringify({ file, task, text, answer, score, width, height, ...(isVerbose && rest) });
}

export function printAnswer(
  _: NamedImage,
  { task }: CommandQuestion,
  result: Result<AnswerOf<string>>,
): void {
  const { answer, score } = result;
  console.log(`\n${task}  (score ${score.toFixed(3)})`);
  const rows = tableOf(answer);
  if (rows.length > 0) console.table(rows);
  else console.log(typeof answer === "string" ? answer : "nothing found");
}

/** One row for each box, quad or mask, numbers rounded for reading. */
function tableOf(answer: AnswerOf<string>): Record<string, string | number>[] {
  return marksOf(answer).map(({ label, kind, outlines, score }) => {
    const points = outlines.flat();
    const corners = kind === "box" ? [...points.slice(0, 2), ...points.slice(4, 6)] : points;
    const place =
      kind === "mask" ? `${points.length / 2} points` : corners.map((value) => value.toFixed(1)).join(" ");
    return { label, place, ...(score !== undefined && { confidence: Number(score.toFixed(3)) }) };
  });
}
