import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Kernel } from "../core/kernel.ts";
import { wgsl } from "../core/shaders.ts";
import { allKernelCases } from "./support/kernel_check.ts";
import { borrowedNames, definedIn, mentionedIn, partsOf, usesIn } from "./support/shader_names.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

const textOf = (file: string) => readFileSync(join(root, file), "utf8");

/** Files that a file imports, as paths from the root; packages by their name. */
function importsOf(file: string): string[] {
  return [...textOf(file).matchAll(/(?<!")(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, specifier]) =>
    specifier!.startsWith(".") ? sourceOf(relative(root, join(root, dirname(file), specifier!))) : specifier!,
  );
}

/** AssemblyScript leaves the ending out; what is made by the build has its types in the repository. */
const sourceOf = (path: string) => path.replace(/\.as$/, ".as.ts").replace(/\.js$/, ".d.ts");

/** Who may import from whom: a room, and the rooms below it that it stands on. `.` is the root's own files. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: ["core"],
  kernels: ["kernels", "core"],
  files: ["files", "core"],
  tokenizer: ["tokenizer", "files", "core"],
  model: ["model", "kernels", "tokenizer", "files", "core"],
  draw: ["draw", "model", "core"],
  datasets: ["datasets", "model", "files", "core"],
  eval: ["eval", "datasets", "draw", "model", "files", "core"],
  measure: ["measure", "model", "kernels", "tokenizer", "files", "core"],
  commands: ["commands", "measure", "eval", "datasets", "draw", "model", "tokenizer", "files", "core"],
  bench: ["bench", "measure", "commands", "eval", "datasets", "model", "kernels", "files", "core"],
  ".": [".", "commands", "draw", "model", "tokenizer", "files", "core"],
};
/** Each package enters at one place; the bench is not shipped and takes what it measures with. */
const PACKAGES: Readonly<Record<string, string>> = {
  webgpu: "core/platform.ts",
  sharp: "model/image/sharp.ts",
};
const roomOf = (file: string) => (file.includes("/") ? file.split("/")[0]! : ".");
const filesOf = (room: string) =>
  room === "."
    ? readdirSync(root).filter((name) => name.endsWith(".ts") && !name.includes(".config."))
    : filesBelow(room, ".ts");

describe("the house", () => {
  it("every room that the build, the bench and the tests name has its line here", () => {
    const { include } = JSON.parse(textOf("tsconfig.build.json")) as { include: string[] };
    const rooms = new Set([...include.map((path) => (path.endsWith(".ts") ? "." : path)), "bench"]);
    expect(Object.keys(MAY_IMPORT).sort()).toEqual([...rooms].sort());
  });

  for (const [room, allowed] of Object.entries(MAY_IMPORT)) {
    it(`${room} imports only ${allowed.join(", ")}`, () => {
      for (const file of filesOf(room)) {
        for (const imported of importsOf(file)) {
          const isBuiltIn = imported.startsWith("node:");
          const isFile = imported.endsWith(".ts");
          if (isFile) expect(allowed, `${file} imports ${imported}`).toContain(roomOf(imported));
          else if (!isBuiltIn && room !== "bench")
            expect(PACKAGES[imported], `${file} imports the package ${imported}`).toBe(file);
        }
      }
    });
  }

  it("folders are made by makeFolder, which ends also where none can be made", () => {
    const apps = readdirSync(join(root, "apps")).flatMap((app) =>
      filesBelow(join("apps", app), ".ts").filter((file) => !/\/(node_modules|dist|tests)\//.test(file)),
    );
    const shipped = Object.keys(MAY_IMPORT).filter((room) => room !== "bench");
    for (const file of [...shipped.flatMap(filesOf), ...apps])
      expect(textOf(file), file).not.toMatch(/mkdir(Sync)?\([^;]*recursive: true/);
  });

  it("a module for browsers stands beside the one that it replaces, and package.json imports it by condition", () => {
    const { imports } = JSON.parse(textOf("package.json")) as { imports: Record<string, unknown> };
    const endings = Object.keys(MAY_IMPORT).flatMap((room) =>
      room === "." ? [] : filesBelow(room, ".browser.ts"),
    );
    const expected = endings.map((file) => {
      const name = file.slice(0, -".browser.ts".length);
      const targets = { browser: `./dist/${name}.browser.js`, default: `./dist/${name}.js` };
      return [`#${name}`, targets];
    });
    expect(imports).toEqual(Object.fromEntries(expected));
    for (const file of endings) {
      expect(textOf(file).match(/^import (?!type).*"node:|import\("/m)?.[0], file).toBeUndefined();
      expect(existsSync(join(root, file.replace(".browser.ts", ".ts"))), file).toBe(true);
    }
  });

  it("a kernel imports core, its own folder and what all share, never another kernel", () => {
    for (const file of filesBelow("kernels", ".ts")) {
      for (const imported of importsOf(file).filter((path) => path.startsWith("kernels/"))) {
        expect([dirname(file), "kernels/shared"], `${file} imports ${imported}`).toContain(dirname(imported));
      }
    }
  });

  it("source files and tests have 350 lines at most", () => {
    const files = [...Object.keys(MAY_IMPORT), "tests", "apps"].flatMap(filesOf);
    for (const file of files.filter((path) => !/\/(node_modules|dist)\//.test(path)))
      expect(textOf(file).split("\n").length - 1, file).toBeLessThanOrEqual(350);
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
    for (const room of Object.keys(MAY_IMPORT)) for (const file of filesOf(room)) visit(file, []);
  });

  it("only core knows WebGPU", () => {
    for (const file of ["kernels", "files", "tokenizer", "model", "draw", "datasets"].flatMap(filesOf)) {
      expect(textOf(file).match(/\b(GPU[A-Z]|Gpu[A-Z]|core\/gpu\/)\w*/)?.[0], file).toBeUndefined();
    }
  });

  it("what a file exports is used by another, or is not exported", () => {
    const everywhere = [...Object.keys(MAY_IMPORT), "tests", "apps", "examples", "scripts"];
    const others = everywhere.flatMap((room) => [
      ...filesOf(room),
      ...(room === "." ? [] : filesBelow(room, ".mjs")),
    ]);
    const words = new Map(others.map((file) => [file, new Set(textOf(file).match(/\w+/g))]));
    const unused: string[] = [];
    const shipped = Object.keys(MAY_IMPORT).filter((room) => room !== "." && room !== "bench");
    for (const file of shipped.flatMap(filesOf).filter((path) => !path.endsWith(".as.ts"))) {
      const kinds = /^(core|kernels)\//.test(file) ? "class|interface|type" : "class";
      const pattern = new RegExp(
        `^export (?:async |abstract )?(?:const|let|function\\*?|${kinds}) (\\w+)`,
        "gm",
      );
      for (const [, name] of textOf(file).matchAll(pattern)) {
        const isUsed = others.some((other) => other !== file && words.get(other)!.has(name!));
        if (!isUsed) unused.push(`${name} of ${file}`);
      }
    }
    expect(unused).toEqual([]);
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
  it("have 200 lines at most", () => {
    for (const file of ["core", "kernels"].flatMap((room) => filesBelow(room, ".wgsl")))
      expect(textOf(file).split("\n").length - 1, file).toBeLessThanOrEqual(200);
  });

  it("say in their heads what they use of other files, no more and no less", () => {
    const shaders = allKernelCases.flatMap(({ kernel }) =>
      kernel.variants.map((one) => partsOf(kernel, one)),
    );
    for (const [file, uses] of borrowedNames(shaders)) {
      if (!file.includes("/weights.")) expect(usesIn(wgsl(file)), file).toEqual(uses);
    }
    // No shader includes a file that it does not use.
    for (const parts of shaders) {
      for (const part of parts.slice(1, -1)) {
        const names = definedIn(part);
        const users = parts.filter((other) => [...mentionedIn(other)].some((name) => names.has(name)));
        expect(
          users.filter((user) => user !== part).length,
          `${part.file} in ${parts[0]!.file}`,
        ).toBeGreaterThan(0);
      }
    }
  });

  it("stand alone: no template, no preprocessor, no size of a particular model", () => {
    for (const file of filesBelow("kernels", ".wgsl")) {
      expect(textOf(file).match(/\$\{|^#/m)?.[0], file).toBeUndefined();
      expect(textOf(file).match(/\b(768|1024|3072|51289)u?\b/)?.[0], file).toBeUndefined();
    }
  });

  for (const { kernel } of allKernelCases) {
    it(`${kernel.name} has at most three variants, with labels of their own`, () => {
      const { variants } = kernel;
      expect(variants.length).toBeLessThanOrEqual(3);
      expect(new Set(variants.map(({ label }) => label)).size).toBe(variants.length);
    });

    for (const variant of kernel.variants) {
      it(`${kernel.name}/${variant.label} agrees with its definition`, () => {
        const source = variant.source.text;
        expect(bindingsIn(source)).toEqual(expectedBindings(kernel));
        expect(paramsIn(source)).toEqual(
          Object.entries(kernel.params).map(([name, type]) => `${name}: ${type}`),
        );
        expect(overridesIn(source).sort()).toEqual(Object.keys(kernel.constants).sort());
        expect(variant.source.file).toMatch(
          new RegExp(`^kernels/${kernel.name}/${kernel.name}(\\.\\w+)?\\.wgsl$`),
        );
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
