import { type ErrorCode, Florence2Error, quote } from "../core/errors.ts";

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

/** Has no prototype, so that "constructor" and "__proto__" are keys like any other. */
export interface JsonObject {
  [key: string]: JsonValue;
}

/** Deeper than any file of a model, and far from what the call stack holds. */
const MAX_DEPTH = 64;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const FOUR_HEX_DIGITS = /[0-9a-fA-F]{4}/y;
/** With the u flag, the halves of a pair count as one character, which is no surrogate. */
const LONE_SURROGATE = /\p{Surrogate}/u;
const WORDS = new Map<string, JsonValue>([
  ["t", true],
  ["f", false],
  ["n", null],
]);
const ESCAPES = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

export interface JsonOptions {
  /** Numbers that are not written in digits alone, such as `4.0`, `1e0` and `-0`, stay text. Default false. */
  readonly onlyIntegers?: boolean;
}

/**
 * Reads JSON (RFC 8259) in one pass. Stricter than `JSON.parse`: a key that occurs twice in an object,
 * half of a surrogate pair, a number too large for a double, and nesting deeper than 64 are errors.
 * Throws a Florence2Error with the given code; `file` is the name to show in it.
 */
export function parseJson(
  text: string,
  file: string,
  code: ErrorCode,
  { onlyIntegers = false }: JsonOptions = {},
): JsonValue {
  let at = 0;

  function fail(problem: string, position = at): never {
    const before = text.slice(0, position).split("\n");
    const [line, column] = [before.length, before[before.length - 1]!.length + 1];
    throw new Florence2Error(
      code,
      `${file} is not valid JSON: ${problem} at line ${line}, column ${column}.`,
      { file, problem, line, column },
    );
  }

  function failOn(expected: string): never {
    const found = text.codePointAt(at);
    fail(
      `expected ${expected}, found ${found === undefined ? "the end" : quote(String.fromCodePoint(found))}`,
    );
  }

  function skipSpace(): void {
    while (at < text.length && isSpace(text.charCodeAt(at))) at++;
  }

  function expect(character: string): void {
    if (text[at] !== character) failOn(`"${character}"`);
    at++;
  }

  function value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) fail(`nested deeper than ${MAX_DEPTH} levels`);
    const first = text[at] ?? "";
    if (first === "{") return object(depth);
    if (first === "[") return array(depth);
    if (first === '"') return string();
    if (first === "-" || (first >= "0" && first <= "9")) return number();
    const word = WORDS.get(first);
    if (word === undefined || !text.startsWith(String(word), at)) failOn("a value");
    at += String(word).length;
    return word;
  }

  function object(depth: number): JsonObject {
    const members: JsonObject = Object.create(null);
    at++;
    skipSpace();
    if (text[at] === "}") {
      at++;
      return members;
    }
    for (;;) {
      const start = at;
      if (text[at] !== '"') failOn("a key in quotation marks");
      const key = string();
      if (key in members) fail(`the key ${quote(key)} occurs twice`, start);
      skipSpace();
      expect(":");
      skipSpace();
      members[key] = value(depth + 1);
      skipSpace();
      if (text[at] === "}") {
        at++;
        return members;
      }
      expect(",");
      skipSpace();
    }
  }

  function array(depth: number): JsonValue[] {
    const elements: JsonValue[] = [];
    at++;
    skipSpace();
    if (text[at] === "]") {
      at++;
      return elements;
    }
    for (;;) {
      elements.push(value(depth + 1));
      skipSpace();
      if (text[at] === "]") {
        at++;
        return elements;
      }
      expect(",");
      skipSpace();
    }
  }

  function number(): number | string {
    NUMBER.lastIndex = at;
    const literal = NUMBER.exec(text)?.[0];
    if (literal === undefined) failOn("a number");
    const result = Number(literal);
    if (!Number.isFinite(result)) fail("a number is too large for a double");
    at += literal.length;
    return onlyIntegers && !/^\d+$/.test(literal) ? literal : result;
  }

  function string(): string {
    const start = at++;
    let result = "";
    for (;;) {
      const from = at;
      while (at < text.length && isPlain(text.charCodeAt(at))) at++;
      result += text.slice(from, at);
      if (text[at] === '"') break;
      if (text[at] !== "\\") failOn("the end of a string");
      at++;
      result += escapeSequence();
    }
    // Only an escape sequence can bring half of a pair into text that was decoded from UTF-8.
    if (at - start - 1 > result.length && LONE_SURROGATE.test(result)) {
      fail("a string holds half of a surrogate pair", start);
    }
    at++;
    return result;
  }

  function escapeSequence(): string {
    const letter = text[at] ?? "";
    const plain = ESCAPES.get(letter);
    if (plain === undefined && letter !== "u") failOn("an escape sequence");
    at++;
    if (plain !== undefined) return plain;
    FOUR_HEX_DIGITS.lastIndex = at;
    const digits = FOUR_HEX_DIGITS.exec(text)?.[0];
    if (digits === undefined) failOn("four hexadecimal digits");
    at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  skipSpace();
  const result = value(1);
  skipSpace();
  if (at < text.length) failOn("the end of the file");
  return result;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** Whether a character may stand in a string as it is, and does not end it. */
function isPlain(code: number): boolean {
  return code !== 0x22 && code !== 0x5c && code >= 0x20;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
