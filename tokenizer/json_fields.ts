// Reading fields of JSON files that anyone may have written: what does not fit is an error that names the
// file, the field, what was found and what was expected.

import { Florence2Error } from "../core/errors.ts";
import { parseJson } from "../files/json.ts";

/** A JSON object of which nothing is known yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** The object in a file, given as text or already parsed. */
export function parseFields(file: string, given: unknown): Fields {
  const value =
    typeof given === "string" ? parseJson(given.replace(/^\uFEFF/, ""), file, "tokenizer_invalid") : given;
  return expectFields(file, "the file", value);
}

export function expectFields(file: string, field: string, value: unknown): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw invalidField(file, field, value, "an object");
}

export function expectList(file: string, field: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw invalidField(file, field, value, "a list");
}

export function expectText(file: string, field: string, value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  throw invalidField(file, field, value, "a text that is not empty");
}

export function expectNumber(file: string, field: string, value: unknown): number {
  if (typeof value === "number") return value;
  throw invalidField(file, field, value, "a number");
}

export function expectOneOf(
  file: string,
  field: string,
  value: unknown,
  supported: readonly unknown[],
): void {
  if (supported.includes(value)) return;
  throw invalidField(file, field, value, `${supported.map(show).join(" or ")} (nothing else is supported)`);
}

/** Id of a token that a field names. */
export function requireId(
  idOfToken: ReadonlyMap<string, number>,
  file: string,
  field: string,
  token: string,
): number {
  const id = idOfToken.get(token);
  if (id === undefined) throw invalidField(file, field, token, "a token of the vocabulary");
  return id;
}

export function invalidField(file: string, field: string, found: unknown, expected: string): Florence2Error {
  const message = `${file}: ${field} is ${show(found)}, expected ${expected}`;
  return new Florence2Error("tokenizer_invalid", message, { file, field, found, expected });
}

function show(value: unknown): string {
  if (value === undefined) return "missing";
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
