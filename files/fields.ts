/**
 * Reads fields of a model's configuration files. Each reader throws config_invalid with file, field, found
 * and expected. A null counts as absent: transformers writes it for "not set".
 */
import { Florence2Error, quote } from "../core/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./json.ts";

/** Far above any size of a model; the product of two is still exact. */
const MAX_SIZE = 2 ** 20;

export interface Section {
  readonly file: string;
  /** What stands before the key in messages: "text_config." */
  readonly path: string;
  readonly values: JsonObject;
}

export interface Field {
  readonly where: string;
  readonly value: JsonValue | undefined;
}

interface Range {
  readonly fallback?: number;
  readonly least?: number;
  readonly most?: number;
}

export function section(file: string, path: string, value: JsonValue | undefined): Section {
  if (isJsonObject(value)) return { file, path, values: value };
  throw invalid({ where: `${file}${path && `: ${path.slice(0, -1)}`}`, value }, "an object");
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

export function integer(field: Field, { fallback, least = 1, most = MAX_SIZE }: Range = {}): number {
  const value = field.value ?? fallback;
  if (Number.isInteger(value) && least <= Number(value) && Number(value) <= most) return Number(value);
  throw invalid(field, `an integer from ${least} to ${most}`);
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

export function number(field: Field, { fallback, least, most }: Required<Range>): number {
  const value = field.value ?? fallback;
  if (typeof value === "number" && least <= value && value <= most) return value;
  throw invalid(field, `a number from ${least} to ${most}`);
}

/** One number per colour. */
export function channels(
  field: Field,
  fallback: readonly number[],
  least: number,
): readonly [number, number, number] {
  const value = field.value ?? [...fallback];
  if (!Array.isArray(value) || value.length !== 3) throw invalid(field, "a list of 3 numbers");
  const [red, green, blue] = value.map((item, i) =>
    number({ where: `${field.where}[${i}]`, value: item }, { fallback: Number.NaN, least, most: 1 }),
  );
  return [red!, green!, blue!];
}

/** One of the values that this library implements, or undefined where the field is absent. */
export function only<T extends JsonValue>(field: Field, allowed: readonly T[]): T | undefined {
  if (field.value === undefined) return undefined;
  const found = allowed.find((value) => value === field.value);
  if (found === undefined)
    throw invalid(field, `${allowed.map(quote).join(" or ")}; nothing else is supported`);
  return found;
}

export function checkDivides(field: Field, divisor: number, width: number): void {
  if (width % divisor !== 0)
    throw invalid(field, `numbers that divide the width; ${divisor} does not divide ${width}`);
}

/** Shaders read rows, heads and groups as vectors of four channels. */
export function checkFours(field: Field, channels: number, most = Number.MAX_SAFE_INTEGER): void {
  if (channels % 4 !== 0 || channels > most)
    throw invalid(
      field,
      `parts of a multiple of four channels, at most ${most}; this makes them ${channels}`,
    );
}

export function invalid({ where, value }: Field, expected: string): Florence2Error {
  const found = value === undefined ? "is missing" : `is ${quote(value)}`;
  return new Florence2Error("config_invalid", `${where} ${found}. Expected ${expected}.`, {
    field: where,
    expected,
    found: value,
  });
}
