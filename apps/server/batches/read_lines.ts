import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { z } from "zod";
import type { BatchError, BatchLine, Endpoint } from "./batch.ts";

export const MAX_LINES = 50_000;
/** Errors that a failed batch lists. */
const MAX_ERRORS = 100;

const lineSchema = z.looseObject({
  custom_id: z.string().min(1).max(64),
  method: z.literal("POST"),
  url: z.string(),
  body: z.record(z.string(), z.unknown()),
});

async function* rawLines(path: string): AsyncGenerator<{ readonly text: string; readonly line: number }> {
  const input = createReadStream(path);
  let line = 0;
  try {
    for await (const text of createInterface({ input, crlfDelay: Infinity })) {
      line++;
      if (text.trim()) yield { text, line };
    }
  } finally {
    input.destroy();
  }
}

/** Checks a whole input file before any of it is computed; a batch with an error in it is not begun. */
export async function checkLines(
  path: string,
  endpoint: Endpoint,
): Promise<{ readonly total: number; readonly errors: readonly BatchError[] }> {
  const errors: BatchError[] = [];
  const ids = new Set<string>();
  let total = 0;
  for await (const { text, line } of rawLines(path)) {
    if (++total > MAX_LINES) {
      const message = `The file has more than the ${MAX_LINES} requests that a batch may have.`;
      return { total, errors: [{ code: "too_many_requests", message, param: null, line }] };
    }
    const error = errorOf(text, endpoint, ids);
    if (error) errors.push({ ...error, line });
    if (errors.length >= MAX_ERRORS) break;
  }
  if (total === 0)
    errors.push({ code: "empty_file", message: "The file has no requests.", param: null, line: null });
  return { total, errors };
}

function errorOf(text: string, endpoint: Endpoint, ids: Set<string>): Omit<BatchError, "line"> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { code: "invalid_json_line", message: "The line is not valid JSON.", param: null };
  }
  const { success, data, error } = lineSchema.safeParse(value);
  if (!success) {
    const [issue] = error.issues;
    const param = issue!.path.join(".");
    return {
      code: "invalid_request",
      message: `${param || "The line"}: ${issue!.message}.`,
      param: param || null,
    };
  }
  if (data.url !== endpoint)
    return {
      code: "invalid_url",
      message: `The url is not the batch's endpoint, ${endpoint}.`,
      param: "url",
    };
  if (ids.has(data.custom_id))
    return {
      code: "duplicate_custom_id",
      message: "The custom_id stands in an earlier line.",
      param: "custom_id",
    };
  ids.add(data.custom_id);
  return undefined;
}

/** The requests of a file that `checkLines` found good. */
export async function* readLines(path: string): AsyncGenerator<BatchLine> {
  for await (const { text } of rawLines(path)) yield JSON.parse(text) as BatchLine;
}
