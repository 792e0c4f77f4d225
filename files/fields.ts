/**
 * Reads fields of JSON files that anyone may have written: configurations, tokenizers, data sets. A field that
 * does not fit is an error with the file, the field, what was found and what was expected.
 *
 *     const root = wholeFile("boxes.json", value, "data_invalid");
 *     items(member(root, "images")).map((image) => text(member(image, "file_name")))
 *     // boxes.json: images[3].file_name is 7. Expected a text.
 */
import { type ErrorCode, Florence2Error, quote } from "../core/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./json.ts";

export interface Field {
  /** The file and the field, as a message names them: `config.json: text_config.d_model`. */
  readonly where: string;
  readonly value: JsonValue | undefined;
  /** Code of the error if the value does not fit. Default `config_invalid`. */
  readonly code?: ErrorCode;
  /** The field is a whole file, or a whole line of one. */
  readonly isWhole?: boolean;
}

/** The content of a file, or of one of its lines if it is read line by line. */
export function wholeFile(file: string, value: JsonValue | undefined, code?: ErrorCode): Field {
  return { where: file, value, code, isWhole: true };
}

export function invalid({ where, value, code = "config_invalid" }: Field, expected: string): Florence2Error {
  const found = value === undefined ? "is missing" : `is ${quote(value)}`;
  const message = `${where} ${found}. Expected ${expected}.`;
  return new Florence2Error(code, message, { field: where, expected, found: value });
}

/* Objects, lists, texts, numbers. */

/** The object in a field. */
export function object(field: Field): JsonObject {
  if (isJsonObject(field.value)) return field.value;
  throw invalid(field, "an object");
}

/** A member of the object in a field; its value is undefined where the object has none of that name. */
export function member(field: Field, key: string): Field {
  const values = object(field);
  return named(field, key, Object.hasOwn(values, key) ? values[key] : undefined);
}

/** A value that belongs to a field, under a name of its own in messages. */
export function named({ where, code, isWhole }: Field, name: string, value: JsonValue | undefined): Field {
  if (isWhole) return { where: `${where}: ${name}`, value, code };
  const isPlain = /^[\w$]+$/.test(name);
  return { where: isPlain ? `${where}.${name}` : `${where}[${quote(name)}]`, value, code };
}

export function hasMember({ value }: Field, key: string): boolean {
  return isJsonObject(value) && Object.hasOwn(value, key);
}

/** The fields of a list. */
export function items(field: Field, expected = "a list"): Field[] {
  const { where, value, code } = field;
  if (!Array.isArray(value)) throw invalid(field, expected);
  return value.map((item, i) => ({ where: `${where}[${i}]`, value: item, code }));
}

export function text(field: Field): string {
  if (typeof field.value === "string") return field.value;
  throw invalid(field, "a text");
}

/** A list of one text or more. */
export function texts(field: Field): string[] {
  const found = items(field, "a list of texts").map(text);
  if (found.length === 0) throw invalid(field, "one text or more");
  return found;
}

interface Range {
  readonly fallback?: number;
  readonly min?: number;
  readonly max?: number;
}

/** Any number, or one of a range. */
export function number(field: Field, { fallback, min, max }: Range = {}): number {
  const value = field.value ?? fallback;
  const [from, to] = [min ?? Number.NEGATIVE_INFINITY, max ?? Number.POSITIVE_INFINITY];
  if (typeof value === "number" && from <= value && value <= to) return value;
  throw invalid(field, min === undefined ? "a number" : `a number from ${min} to ${max}`);
}

/** A list of numbers of which `fits` is true. */
export function numbers(
  field: Field,
  expected: string,
  fits: (found: readonly number[]) => boolean,
): number[] {
  const found = items(field, expected).map((item) => number(item));
  if (!fits(found)) throw invalid(field, expected);
  return found;
}

/** One of the values that this library implements. */
export function oneOf<T extends JsonValue>(field: Field, allowed: readonly T[]): T {
  const found = allowed.find((value) => value === field.value);
  if (found !== undefined) return found;
  throw invalid(field, `${allowed.map(quote).join(" or ")}; nothing else is supported`);
}

/** The same, or undefined where the field is absent. */
export function only<T extends JsonValue>(field: Field, allowed: readonly T[]): T | undefined {
  return field.value === undefined ? undefined : oneOf(field, allowed);
}

/* Configuration files. A null counts as absent there: transformers writes it for "not set". */

/** Far above any size of a model; the product of two is still exact. */
const MAX_SIZE = 2 ** 20;

export interface Section {
  readonly file: string;
  /** The prefix of the key in messages: "text_config." */
  readonly path: string;
  readonly values: JsonObject;
}

export function section(file: string, path: string, value: JsonValue | undefined): Section {
  const where = path ? `${file}: ${path.slice(0, -1)}` : file;
  return { file, path, values: object({ where, value }) };
}

/** Empty where the key is absent. */
export function subsection({ file, path, values }: Section, key: string): Section {
  return section(file, `${path}${key}.`, values[key] ?? {});
}

/** A field under any of its names. */
export function field({ file, path, values }: Section, ...keys: readonly string[]): Field {
  const fields = keys.map((key) => ({
    where: `${file}: ${path}${key}`,
    value: Object.hasOwn(values, key) ? (values[key] ?? undefined) : undefined,
  }));
  return first(...fields);
}

/** The first field that is present. Others that are present must agree with it. */
export function first(...fields: readonly Field[]): Field {
  const present = fields.filter(({ value }) => value !== undefined);
  const [chosen, ...others] = present;
  if (!chosen) return fields[0]!;
  for (const other of others) {
    if (JSON.stringify(other.value) !== JSON.stringify(chosen.value)) {
      throw invalid(other, `${quote(chosen.value)} as in ${chosen.where}`);
    }
  }
  return chosen;
}

/** A generation setting: of the first section that has it, whatever later ones say. */
export function setting(sections: readonly Section[], key: string): Field {
  const fields = sections.map((section) => field(section, key));
  return fields.find(({ value }) => value !== undefined) ?? fields[0]!;
}

export function integer(field: Field, { fallback, min = 1, max = MAX_SIZE }: Range = {}): number {
  const value = field.value ?? fallback;
  if (Number.isInteger(value) && min <= Number(value) && Number(value) <= max) return Number(value);
  throw invalid(field, `an integer from ${min} to ${max}`);
}

export function integers(field: Field, length?: number, range: Range = {}): readonly number[] {
  const { where, value } = field;
  if (!Array.isArray(value) || value.length === 0 || value.length !== (length ?? value.length)) {
    throw invalid(field, `a list of ${length ?? "one or more"} integers, one per stage`);
  }
  return value.map((item, i) => integer({ where: `${where}[${i}]`, value: item }, range));
}

export function flags(field: Field, length: number): readonly boolean[] {
  const { value } = field;
  const valid =
    Array.isArray(value) && value.length === length && value.every((item) => typeof item === "boolean");
  if (!valid) throw invalid(field, `a list of ${length} booleans, one per stage`);
  return value as boolean[];
}

/** One number per colour. */
export function channels(
  field: Field,
  fallback: readonly number[],
  min: number,
): readonly [number, number, number] {
  const value = field.value ?? [...fallback];
  if (!Array.isArray(value) || value.length !== 3) throw invalid(field, "a list of 3 numbers");
  const [red, green, blue] = value.map((item, i) =>
    number({ where: `${field.where}[${i}]`, value: item }, { min, max: 1 }),
  );
  return [red!, green!, blue!];
}

export function checkDivides(field: Field, divisor: number, width: number): void {
  if (width % divisor !== 0)
    throw invalid(field, `numbers that divide the width; ${divisor} does not divide ${width}`);
}

/** Shaders read rows, heads and groups as vectors of four channels. */
export function checkFours(field: Field, channels: number, max = Number.MAX_SAFE_INTEGER): void {
  if (channels % 4 !== 0 || channels > max)
    throw invalid(field, `parts of a multiple of four channels, at most ${max}; this makes them ${channels}`);
}
