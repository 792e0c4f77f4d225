import { createReadStream } from "node:fs";
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

interface RawLine {
  readonly text: string;
  /** From 1. */
  readonly line: number;
  /** Where it ends, its line break included, in bytes of the file. */
  readonly end: number;
}

/** The lines of a file from byte `start` to `end`, without blank ones. */
async function* rawLines(path: string, start = 0, end = Number.POSITIVE_INFINITY): AsyncGenerator<RawLine> {
  if (start >= end) return;
  let [line, at, pieces] = [0, start, [] as Buffer[]];
  const take = (): RawLine => {
    const bytes = Buffer.concat(pieces);
    pieces = [];
    line++;
    at += bytes.length;
    return { text: bytes.toString("utf8"), line, end: at };
  };
  for await (let chunk of createReadStream(path, { start, end: end - 1 }) as AsyncIterable<Buffer>) {
    for (let stop = chunk.indexOf(0x0a); stop >= 0; stop = chunk.indexOf(0x0a)) {
      pieces.push(chunk.subarray(0, stop + 1));
      chunk = chunk.subarray(stop + 1);
      const found = take();
      if (found.text.trim()) yield found;
    }
    pieces.push(chunk);
  }
  const last = take();
  if (last.text.trim()) yield last;
}

export interface CheckedLines {
  readonly total: number;
  readonly errors: readonly BatchError[];
  /** Where the chunks end, in bytes of the file. */
  readonly ends: readonly number[];
}

/** Checks a whole input file before any of it is computed; a batch with an error in it is not begun. */
export async function checkLines(
  path: string,
  endpoint: Endpoint,
  linesPerChunk: number,
): Promise<CheckedLines> {
  const errors: BatchError[] = [];
  const ids = new Set<string>();
  const ends: number[] = [];
  let total = 0;
  for await (const { text, line, end } of rawLines(path)) {
    if (total % linesPerChunk === 0) ends.push(end);
    else ends[ends.length - 1] = end;
    if (++total > MAX_LINES) {
      const message = `The file has more than the ${MAX_LINES} requests that a batch may have.`;
      return { total, ends, errors: [{ code: "too_many_requests", message, param: null, line }] };
    }
    const error = errorOf(text, endpoint, ids);
    if (error) errors.push({ ...error, line });
    if (errors.length >= MAX_ERRORS) break;
  }
  if (total === 0)
    errors.push({ code: "empty_file", message: "The file has no requests.", param: null, line: null });
  return { total, ends, errors };
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

/** The requests from byte `start` to `end` of a file that `checkLines` found good. */
export async function readLines(path: string, start: number, end: number): Promise<BatchLine[]> {
  const lines: BatchLine[] = [];
  for await (const { text } of rawLines(path, start, end)) lines.push(JSON.parse(text) as BatchLine);
  return lines;
}
