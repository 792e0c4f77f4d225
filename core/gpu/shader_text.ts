import type { Feature } from "../kernel.ts";
import type { Dispatch } from "../recording.ts";
import type { Shader } from "../shaders.ts";
import type { Dtype } from "../tensor.ts";

/** The name of a feature in the head of a shader. */
const ENABLES: Partial<Record<Feature, string>> = {
  f16: "f16",
  subgroups: "subgroups",
  matrices: "chromium_experimental_subgroup_matrix",
};

/**
 * The parts of a call's shader, in their order: a head with what it enables and the variant's constants, how weights
 * are read, the variant's includes, its own file. Joined by line breaks they are one module.
 */
export function shaderParts(dispatch: Dispatch): readonly Shader[] {
  const { kernel, variant } = dispatch;
  const enables = (variant.needs ?? []).flatMap((feature) => ENABLES[feature] ?? []);
  const head = [
    ...enables.map((name) => `enable ${name};`),
    ...Object.entries(variant.constants ?? {}).map(([name, value]) => `const ${name} = ${value}u;`),
  ].join("\n");
  const weights = Object.entries(formatsOf(dispatch)).map(([name, format]) =>
    readingOf(name, kernel.bindings[name]!.formats![format]!),
  );
  const parts = [{ file: `head of ${kernel.name}/${variant.label}`, text: head }, ...weights];
  return [...parts, ...(variant.includes ?? []), variant.source];
}

export const joined = (parts: readonly Shader[]) => parts.map(({ text }) => text).join("\n");

/** The storage format of each weights binding of a call. */
export function formatsOf({ kernel, tensors }: Dispatch): Readonly<Record<string, Dtype>> {
  const bindings = Object.entries(kernel.bindings);
  return Object.fromEntries(
    bindings.flatMap(([name, { formats }], i) => (formats ? [[name, tensors[i]!.dtype]] : [])),
  );
}

/** A file that reads weights, for the binding `name`: `four_of_NAME` becomes `four_of_weight`. */
function readingOf(name: string, { file, text }: Shader): Shader {
  return { file, text: text.replaceAll("NAME", name) };
}

/** A line of the joined parts, where it stands in its own file, both from 1. */
export function locate(parts: readonly Shader[], line: number): { file: string; line: number; text: string } {
  let first = 1;
  for (const { file, text } of parts) {
    const lines = text.split("\n");
    const index = line - first;
    if (index < lines.length) return { file, line: index + 1, text: lines[index]! };
    first += lines.length;
  }
  return { file: "the shader", line, text: "" };
}
