/** Types as other people's compilers see them, and what tools for packages say of this one. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { call, folder, tool, write } from "./tools.ts";

const STRICT = {
  strict: true,
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  declaration: true,
  target: "ES2022",
};

const check = (version: string, name: string, options: object, files: readonly string[]) => {
  const compilerOptions = { ...STRICT, outDir: `../../${name}`, ...options };
  write(`projects/types/${name}.json`, JSON.stringify({ compilerOptions, files }));
  return call(process.execPath, [tool(`typescript${version}/bin/tsc`), "-p", `projects/types/${name}.json`]);
};

describe.each(["54", "56", "58", "59", "60", "70"])("TypeScript %s", (version) => {
  it.each([
    ["Node", { module: "NodeNext", lib: ["ES2022"], types: ["node"] }, ["use.ts"]],
    [
      "a page",
      { module: "ESNext", moduleResolution: "Bundler", lib: ["ES2022", "DOM"], types: [] },
      ["use.ts", "dom.ts"],
    ],
  ])("for %s, strict, with declarations", async (name, options, files) => {
    await check(version, `${version}-${name.replace(" ", "-")}`, options, files);
  });
});

it("publint finds nothing", async () => {
  expect(
    await call(process.execPath, [tool("publint/src/cli.js"), tool("florence2-webgpu"), "--strict"]),
  ).toMatch(/All good!/);
});

it("attw finds nothing, for packages of ES modules", async () => {
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"))!;
  const script = tool("@arethetypeswrong/cli/dist/index.js");
  const args = [
    join(folder, tarball),
    "--profile",
    "esm-only",
    "--exclude-entrypoints",
    "checkpoints/nano/*",
  ];
  // Ends with an error if something is found; `require` of ES modules is left out by the profile.
  expect(await call(process.execPath, [script, ...args])).toContain("florence2-webgpu/tokenizer");
});
