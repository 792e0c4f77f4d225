// Reading data sets that anyone may have written: what does not fit is an error that names the file, the
// line where there is one, the field, what was found and what was expected.

import { Florence2Error, quote } from "../core/errors.ts";
import { isJsonObject, type JsonValue } from "../files/json.ts";

export interface Field {
  /** The file, and its line if it is read line by line. */
  readonly place: string;
  /** As JavaScript would write it: `prompts[2].truth.boxes`. */
  readonly path: string;
  readonly value: JsonValue | undefined;
}

export function invalidField({ place, path, value }: Field, expected: string): Florence2Error {
  const found = value === undefined ? "missing" : quote(value);
  const message = `${place}: ${path || "the value"} is ${found}, expected ${expected}.`;
  return new Florence2Error("data_invalid", message, { place, field: path, found: value, expected });
}

/** A member of an object; its value is undefined where the object has none of that name. */
export function member(field: Field, key: string): Field {
  const { place, path, value } = field;
  if (!isJsonObject(value)) throw invalidField(field, "an object");
  return { place, path: path ? `${path}.${key}` : key, value: value[key] };
}

export function hasMember({ value }: Field, key: string): boolean {
  return isJsonObject(value) && value[key] !== undefined;
}

export function items(field: Field, expected = "a list"): Field[] {
  const { place, path, value } = field;
  if (!Array.isArray(value)) throw invalidField(field, expected);
  return value.map((item, i) => ({ place, path: `${path}[${i}]`, value: item }));
}

export function text(field: Field): string {
  if (typeof field.value === "string") return field.value;
  throw invalidField(field, "a text");
}

/** A list of one text or more. */
export function texts(field: Field): string[] {
  const found = items(field, "a list of texts").map(text);
  if (found.length === 0) throw invalidField(field, "one text or more");
  return found;
}

export function number(field: Field): number {
  if (typeof field.value === "number") return field.value;
  throw invalidField(field, "a number");
}

/** A list of numbers of the given length, or of whatever length passes `fits`. */
export function numbers(
  field: Field,
  expected: string,
  fits: (found: readonly number[]) => boolean,
): number[] {
  const found = items(field, expected).map(number);
  if (!fits(found)) throw invalidField(field, expected);
  return found;
}
