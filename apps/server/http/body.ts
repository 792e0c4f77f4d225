import type { z } from "zod";
import { raced } from "../engine/signals.ts";
import { ApiError, badRequest } from "./errors.ts";

export interface BodyLimits {
  readonly maxBody: number;
  /** In milliseconds, for the whole body. */
  readonly bodyTimeout: number;
}

/** The bytes of a body, counted while they come; Content-Length is used only to refuse early. */
export async function readBody(request: Request, { maxBody, bodyTimeout }: BodyLimits): Promise<Uint8Array> {
  const tooLarge = new ApiError(413, "body_too_large", `The body has more than ${maxBody} bytes.`);
  const encoding = request.headers.get("content-encoding");
  if (encoding && encoding !== "identity")
    throw new ApiError(
      415,
      "unsupported_encoding",
      "Bodies are taken as they are: leave Content-Encoding out.",
    );
  if (!request.body) return new Uint8Array();
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  if (Number(request.headers.get("content-length") ?? 0) > maxBody) {
    void drop(reader, bodyTimeout);
    throw tooLarge;
  }
  const clock = new AbortController();
  const timer = setTimeout(() => {
    clock.abort(
      new ApiError(408, "body_timeout", `The body did not arrive within ${bodyTimeout / 1000} s.`, {
        headers: { connection: "close" },
      }),
    );
  }, bodyTimeout);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await raced(reader.read(), clock.signal);
      if (done) return Buffer.concat(chunks, length);
      length += value.length;
      if (length > maxBody) throw tooLarge;
      chunks.push(value);
    }
  } catch (error) {
    void drop(reader, error === tooLarge ? bodyTimeout : ANSWER_MILLISECONDS);
    if (error instanceof ApiError) throw error;
    throw badRequest("body_incomplete", "The body broke off.");
  } finally {
    clearTimeout(timer);
  }
}

/** How long the rest of a refused upload is read. */
const DROP_MILLISECONDS = 30_000;
/** Within which an answer leaves. */
const ANSWER_MILLISECONDS = 1000;

/** The parts of a body. Whoever stops in the middle of it may answer at once. */
export async function* partsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = body.getReader();
  let isWhole = false;
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
    isWhole = true;
  } finally {
    if (!isWhole) void drop(reader, DROP_MILLISECONDS);
  }
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/**
 * Reads the rest of a body for nothing: many clients see an answer only when they have sent all. What takes longer
 * is cancelled, which closes the connection.
 */
async function drop(reader: Reader, milliseconds: number): Promise<void> {
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), milliseconds);
  try {
    while (!(await reader.read()).done);
  } catch {
    // The client is gone.
  } finally {
    clearTimeout(timer);
  }
}

const MAX_DEPTH = 64;

/** A JSON body. Only `application/json` is taken: pages of other origins cannot send it unasked. */
export async function readJson(request: Request, limits: BodyLimits): Promise<unknown> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/(?:[\w.-]+\+)?json\b/i.test(type))
    throw new ApiError(415, "unsupported_media_type", "Send the body as Content-Type: application/json.");
  return parseJson(await readBody(request, limits));
}

export function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badRequest("invalid_json", "The body is not UTF-8.");
  }
  if (depthOf(text) > MAX_DEPTH)
    throw badRequest("invalid_json", `The body nests deeper than ${MAX_DEPTH} levels.`);
  try {
    return JSON.parse(text);
  } catch {
    // The engine's message repeats parts of the body.
    throw badRequest("invalid_json", `The body of ${bytes.length} bytes is not valid JSON.`);
  }
}

/** How deep brackets nest, those inside strings not counted; strings are passed over at once, images are long. */
function depthOf(text: string): number {
  const marks = /["[\]{}]/g;
  let [depth, deepest] = [0, 0];
  for (let mark = marks.exec(text); mark; mark = marks.exec(text)) {
    if (mark[0] === '"') marks.lastIndex = endOfString(text, marks.lastIndex);
    else if (mark[0] === "[" || mark[0] === "{") deepest = Math.max(deepest, ++depth);
    else depth--;
  }
  return deepest;
}

function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return at + 1;
  }
  return text.length;
}

/** A value parsed by a schema; the first issue becomes the error. */
export function validate<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const issue = deepest(error.issues);
  const param = issue.path.reduce<string>(
    (path, key) =>
      typeof key === "number" ? `${path}[${key}]` : path ? `${path}.${String(key)}` : String(key),
    "",
  );
  throw badRequest(
    "invalid_value",
    `${param || "The body"}: ${issue.message}.`.slice(0, 500),
    param || undefined,
  );
}

type Issue = z.core.$ZodIssue;

/** Of a union, the issue of the alternative that came furthest tells most. */
function deepest(issues: readonly Issue[]): Issue {
  const [first] = issues as [Issue];
  if (first.code !== "invalid_union") return first;
  const inner = first.errors
    .map(([issue]) => issue && deepest([issue]))
    .filter((issue) => issue !== undefined);
  const [furthest] = inner.sort((a, b) => b.path.length - a.path.length);
  if (!furthest || furthest.path.length === 0) return first;
  return { ...furthest, path: [...first.path, ...furthest.path] };
}
