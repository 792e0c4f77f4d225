import { Florence2Error } from "florence2-webgpu";
import { encodeRows } from "../chunk/parts.ts";
import type { Row } from "../chunk/rows.ts";
import type { Item, RunPlan } from "../plan/plan.ts";
import { openStorage, type Storage } from "../storage/storage.ts";
import { finishRun, readRows } from "./manifest.ts";

export const MERGED = ["answers", "jsonl", "jsonl.gz", "parquet"] as const;
export type Merged = (typeof MERGED)[number];

/**
 * One file of all rows: `answers.jsonl` as the folder commands of `florence2` keep it, with images at fault in
 * `errors.jsonl`, so that `florence2 convert` makes COCO, YOLO and the others of it; or the rows themselves.
 *
 * @returns the names of the files
 * @throws {Florence2Error} `data_invalid` if chunks are missing and `isPartial` is not said
 */
export async function mergeRun(
  storage: Storage,
  plan: RunPlan,
  to: string,
  kind: Merged,
  isPartial = false,
): Promise<string[]> {
  if (!(await finishRun(storage, plan)) && !isPartial) {
    const message = `${storage.url} is not finished: florence2-batch work goes on, and --partial merges what is there.`;
    throw new Florence2Error("data_invalid", message, { storage: storage.url });
  }
  const rows: Row[] = [];
  for await (const part of readRows(storage, plan)) for (const row of part.rows) rows.push(row);
  const files: Readonly<Record<string, Uint8Array>> =
    kind === "answers"
      ? { "answers.jsonl": lines(answersOf(plan, rows)), "errors.jsonl": lines(errorsOf(rows)) }
      : { [`rows.${kind}`]: await encodeRows(rows, kind) };
  const target = openStorage(to);
  for (const [name, content] of Object.entries(files)) await target.replace(name, content);
  return Object.keys(files).map((name) => `${target.url}/${name}`);
}

const lines = (values: readonly unknown[]) =>
  Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(""));

function answersOf({ run, task, text, model, revision }: RunPlan, rows: readonly Row[]): unknown[] {
  const origin = { command: "batch", run, task, text: text ?? null, model, revision };
  const answers = rows.flatMap((row) => {
    if (row.status !== "ok") return [];
    const { key, bytes = 0, width, height, about, answer, rawText, tokens, score, finishReason } = row;
    const own = { ...(text !== undefined && !about?.region && { text }), ...flatRegion(about) };
    const words = typeof answer === "string" && { words: row.text };
    const stored = {
      task,
      ...own,
      answer,
      rawText,
      tokens,
      score,
      finishReason,
      objects: row.objects,
      ...words,
    };
    return [{ file: key, bytes, width, height, answers: [stored] }];
  });
  return [{ origin }, ...answers];
}

/** A region as the file of answers has it: four numbers. */
function flatRegion(about: Pick<Item, "text" | "region"> | undefined) {
  const { region, text } = about ?? {};
  if (region === undefined) return text === undefined ? {} : { text };
  return { region: "x1" in region ? [region.x1, region.y1, region.x2, region.y2] : region };
}

function errorsOf(rows: readonly Row[]): unknown[] {
  return rows.flatMap((row) => (row.status === "error" ? [{ file: row.key, ...row.error }] : []));
}
