import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Kernel } from "../../core/kernel.ts";
import { allKernelCases, compiledNames } from "../support/kernel_check.ts";

const names = await compiledNames();
const suites = allKernelCases.filter(({ kernel }) => names.has(kernel.name));

describe("the signature of a compiled kernel", () => {
  for (const { kernel } of suites) {
    const url = new URL(`../../kernels/${kernel.name}/${kernel.name}.as.ts`, import.meta.url);
    it(`${kernel.name} agrees with its definition`, () => {
      const source = readFileSync(url, "utf8");
      const sizes = expectedSizes(kernel);
      const whole = [...pointersOf(kernel), ...sizes, "begin: u32", "end: u32"];
      expect(parametersOf(source, kernel.name)).toEqual(whole);
      expect(parametersOf(source, `${kernel.name}_units`)).toEqual(sizes);
      for (const [name, expected] of [
        ["_first", whole],
        ["_first_units", sizes],
        ["_second", whole],
        ["_second_units", sizes],
        ["_scratch", sizes],
      ] as const) {
        const found = parametersOf(source, `${kernel.name}${name}`);
        if (found) expect(found, name).toEqual(expected);
      }
    });
  }
});

const snake = (name: string) => name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Pointers, in the order of the bindings. */
const pointersOf = ({ bindings }: Kernel) => Object.keys(bindings).map((name) => `${snake(name)}: usize`);

/** The formats of weights, and then what makes up a call's sizes. */
function expectedSizes({ bindings, params, constants }: Kernel): string[] {
  const formats = Object.keys(bindings).filter((name) => bindings[name]!.formats);
  return [
    ...formats.map((name) => `${name}_format: u32`),
    ...Object.entries({ ...params, ...constants }).map(([name, type]) => `${snake(name)}: ${type}`),
  ];
}

function parametersOf(source: string, name: string): string[] | undefined {
  const list = new RegExp(`^export function ${name}\\(([^)]*)\\)`, "m").exec(source)?.[1];
  return list?.split(",").flatMap((parameter) => {
    const [field, type] = parameter.split(":").map((part) => part.trim());
    return field ? [`${snake(field)}: ${type}`] : [];
  });
}
