import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Kernel } from "../core/kernel.ts";
import { allKernelCases } from "./support/kernel_check.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

const textOf = (file: string) => readFileSync(join(root, file), "utf8");

/** Files that a file imports, as paths from the root; packages by their name. */
function importsOf(file: string): string[] {
  return [...textOf(file).matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, specifier]) =>
    specifier!.startsWith(".") ? relative(root, join(root, dirname(file), specifier!)) : specifier!,
  );
}

/** Who may import from whom: a folder and those it stands on. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: ["core"],
  kernels: ["kernels", "core"],
  tokenizer: ["tokenizer", "core"],
  hub: ["hub", "core"],
  draw: ["draw", "model", "core"],
  eval: ["eval", "draw", "model", "core"],
  doctor: ["doctor", "model", "hub", "core"],
  quantize: ["quantize", "doctor", "model", "hub", "core"],
  model: ["model", "kernels", "tokenizer", "hub", "core"],
};
/** Each package enters at one place. */
const PACKAGES: Readonly<Record<string, string>> = {
  webgpu: "core/platform.ts",
  sharp: "model/image/sharp.ts",
};

describe("the house", () => {
  for (const [folder, allowed] of Object.entries(MAY_IMPORT)) {
    it(`${folder} imports only ${allowed.join(", ")}`, () => {
      for (const file of filesBelow(folder, ".ts")) {
        for (const imported of importsOf(file)) {
          const top = imported.split("/")[0]!;
          const isBuiltIn = imported.startsWith("node:");
          const isFile = imported.endsWith(".ts");
          if (isFile) expect(allowed, `${file} imports ${imported}`).toContain(top);
          else if (!isBuiltIn)
            expect(PACKAGES[imported], `${file} imports the package ${imported}`).toBe(file);
        }
      }
    });
  }

  it("a kernel imports core, its own folder and what all share, never another kernel", () => {
    for (const file of filesBelow("kernels", ".ts")) {
      for (const imported of importsOf(file).filter((path) => path.startsWith("kernels/"))) {
        expect([dirname(file), "kernels/shared"], `${file} imports ${imported}`).toContain(dirname(imported));
      }
    }
  });

  it("files import each other without cycles", () => {
    const done = new Set<string>();
    const visit = (file: string, trail: readonly string[]) => {
      expect(trail, [...trail, file].join(" -> ")).not.toContain(file);
      if (done.has(file)) return;
      const next = importsOf(file).filter((path) => path.endsWith(".ts") && existsSync(join(root, path)));
      // A type alone makes no cycle at run time.
      const typeOnly = [...textOf(file).matchAll(/import type [^;]*?from\s*"([^"]+)"/g)].map(([, path]) =>
        relative(root, join(root, dirname(file), path!)),
      );
      for (const path of next) if (!typeOnly.includes(path)) visit(path, [...trail, file]);
      done.add(file);
    };
    for (const folder of Object.keys(MAY_IMPORT))
      for (const file of filesBelow(folder, ".ts")) visit(file, []);
  });

  it("only core knows WebGPU", () => {
    for (const file of [
      ...filesBelow("kernels", ".ts"),
      ...filesBelow("tokenizer", ".ts"),
      ...filesBelow("model", ".ts"),
    ]) {
      expect(textOf(file).match(/\bGPU[A-Z]\w+/)?.[0], file).toBeUndefined();
    }
  });

  it("a kernel's folder holds its wrapper, twin, cases and shader under one name", () => {
    const folders = readdirSync(join(root, "kernels")).filter((name) => name !== "shared");
    expect(folders.length).toBeGreaterThan(0);
    for (const name of folders) {
      const files = readdirSync(join(root, "kernels", name));
      for (const ending of [".ts", ".twin.ts", ".cases.ts"])
        expect(files, name).toContain(`${name}${ending}`);
      expect(
        files.some((file) => file.endsWith(".wgsl")),
        `${name} has a shader`,
      ).toBe(true);
    }
  });
});

describe("shaders", () => {
  it("stand alone: no template, no preprocessor, no size of a particular model", () => {
    for (const file of filesBelow("kernels", ".wgsl")) {
      expect(textOf(file).match(/\$\{|^#/m)?.[0], file).toBeUndefined();
      expect(textOf(file).match(/\b(768|1024|3072|51289)u?\b/)?.[0], file).toBeUndefined();
    }
  });

  for (const { kernel } of allKernelCases) {
    it(`${kernel.name} has at most three, whatever the sizes of their tiles, and labels of their own`, () => {
      const { variants } = kernel;
      expect(new Set(variants.map(({ source }) => source.href)).size).toBeLessThanOrEqual(3);
      expect(new Set(variants.map(({ label }) => label)).size).toBe(variants.length);
    });

    for (const variant of kernel.variants) {
      it(`${kernel.name}/${variant.label} agrees with its definition`, () => {
        const source = readFileSync(variant.source, "utf8");
        expect(bindingsIn(source)).toEqual(expectedBindings(kernel));
        expect(paramsIn(source)).toEqual(
          Object.entries(kernel.params).map(([name, type]) => `${name}: ${type}`),
        );
        expect(overridesIn(source).sort()).toEqual(Object.keys(kernel.constants).sort());
        expect(basename(variant.source.pathname)).toMatch(new RegExp(`^${kernel.name}(\\.\\w+)?\\.wgsl$`));
        expect(Object.keys(kernel.bindings).length).toBeLessThanOrEqual(8);
      });
    }
  }
});

function expectedBindings({ bindings }: Kernel): string[] {
  return Object.entries(bindings).map(
    ([name, { access }], i) => `${i} ${access === "read" ? "read" : "read_write"} ${name}`,
  );
}

function bindingsIn(source: string): string[] {
  const pattern = /@group\(0\)\s*@binding\((\d+)\)\s*var<storage,\s*(\w+)>\s*(\w+)/g;
  return [...source.matchAll(pattern)].map(([, index, access, name]) => `${index} ${access} ${name}`);
}

function paramsIn(source: string): string[] {
  const body = /struct Params \{([^}]*)\}/.exec(source)?.[1] ?? "";
  return [...body.matchAll(/(\w+)\s*:\s*(\w+)/g)].map(([, name, type]) => `${name}: ${type}`);
}

/** Overrides that a call sets; those computed from others set themselves. */
function overridesIn(source: string): string[] {
  return [...source.matchAll(/^override\s+(\w+)[^=;]*(=[^;]*)?;/gm)]
    .filter(([, , initial = ""]) => !/[A-Z]/.test(initial))
    .map(([, name]) => name!);
}
