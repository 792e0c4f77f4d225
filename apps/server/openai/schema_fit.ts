import type { JsonSchema } from "./answer_schemas.ts";

/** Keywords that only explain. */
const SILENT = new Set([
  "$schema",
  "$id",
  "$defs",
  "definitions",
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
  "readOnly",
]);
const UNDERSTOOD = new Set([
  "type",
  "properties",
  "required",
  "additionalProperties",
  "items",
  "minItems",
  "maxItems",
  "anyOf",
  "oneOf",
  "$ref",
]);

/**
 * Whether every value of one schema satisfies another, so far as that can be told from types, properties, items and
 * their numbers; undefined when it does, else the reason. Properties that the wanted schema does not name are left
 * out of an answer (see `project`), and so are no hindrance.
 */
export function misfit(
  given: JsonSchema,
  wanted: JsonSchema | boolean,
  root = wanted as JsonSchema,
  path = "$",
  depth = 0,
): string | undefined {
  if (wanted === true || depth > 32) return depth > 32 ? `${path}: nests too deep` : undefined;
  if (wanted === false) return `${path}: allows nothing`;
  if (typeof wanted.$ref === "string") {
    const target = resolveReference(root, wanted.$ref);
    return target
      ? misfit(given, target, root, path, depth + 1)
      : `${path}: ${wanted.$ref} is not in the schema`;
  }
  const options = (wanted.anyOf ?? wanted.oneOf) as readonly JsonSchema[] | undefined;
  if (options) {
    const reasons = options.map((option) => misfit(given, option, root, path, depth + 1));
    return reasons.includes(undefined) ? undefined : reasons[0];
  }
  const unknown = Object.keys(wanted).find((key) => !SILENT.has(key) && !UNDERSTOOD.has(key));
  if (unknown) return `${path}: the model cannot be held to "${unknown}"`;
  const types = wanted.type === undefined ? undefined : ([wanted.type].flat() as unknown[]);
  if (types && !types.includes(given.type))
    return `${path}: is of type ${given.type}, not ${types.join(" or ")}`;
  if (given.type === "object") return objectMisfit(given, wanted, root, path, depth);
  if (given.type === "array") return arrayMisfit(given, wanted, root, path, depth);
  return undefined;
}

function objectMisfit(
  given: JsonSchema,
  wanted: JsonSchema,
  root: JsonSchema,
  path: string,
  depth: number,
): string | undefined {
  const has = (given.properties ?? {}) as Readonly<Record<string, JsonSchema>>;
  const always = new Set((given.required ?? []) as readonly string[]);
  for (const name of (wanted.required ?? []) as readonly string[])
    if (!always.has(name)) return `${path}: has no ${JSON.stringify(name)}`;
  for (const [name, schema] of Object.entries((wanted.properties ?? {}) as Record<string, JsonSchema>)) {
    const own = Object.hasOwn(has, name) ? has[name] : undefined;
    const reason = own && misfit(own, schema, root, `${path}.${name}`, depth + 1);
    if (reason) return reason;
  }
  return undefined;
}

function arrayMisfit(
  given: JsonSchema,
  wanted: JsonSchema,
  root: JsonSchema,
  path: string,
  depth: number,
): string | undefined {
  const [least, most] = [(given.minItems as number) ?? 0, (given.maxItems as number) ?? Infinity];
  if (((wanted.minItems as number) ?? 0) > least) return `${path}: may have only ${least} items`;
  if (((wanted.maxItems as number) ?? Infinity) < most) return `${path}: may have ${most} items`;
  if (wanted.items === undefined) return undefined;
  return misfit(given.items as JsonSchema, wanted.items as JsonSchema, root, `${path}[]`, depth + 1);
}

/** The part of a value that a schema names; the schema must fit it. */
export function project(value: unknown, wanted: JsonSchema | boolean, root = wanted as JsonSchema): unknown {
  if (typeof wanted === "boolean") return value;
  if (typeof wanted.$ref === "string") return project(value, resolveReference(root, wanted.$ref)!, root);
  const options = (wanted.anyOf ?? wanted.oneOf) as readonly JsonSchema[] | undefined;
  if (options) return project(value, options.find((option) => option.type === typeName(value)) ?? true, root);
  if (Array.isArray(value))
    return wanted.items ? value.map((item) => project(item, wanted.items as JsonSchema, root)) : value;
  if (typeof value !== "object" || value === null) return value;
  const named = (wanted.properties ?? {}) as Readonly<Record<string, JsonSchema>>;
  const kept = Object.entries(value).filter(
    ([name]) => wanted.additionalProperties !== false || Object.hasOwn(named, name),
  );
  return Object.fromEntries(kept.map(([name, inner]) => [name, project(inner, named[name] ?? true, root)]));
}

function resolveReference(root: JsonSchema, reference: string): JsonSchema | undefined {
  if (!reference.startsWith("#")) return undefined;
  let found: unknown = root;
  for (const key of reference.slice(1).split("/").filter(Boolean)) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Record<string, unknown>)[key];
  }
  return found as JsonSchema;
}

const typeName = (value: unknown) =>
  Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
