/**
 * `node scripts/build.mjs [bench]`: compiles to `dist/`, or the benches to `.cache/bench/`, with the texts of all shaders in core/shaders.js.
 * A module that `imports` of package.json names has a twin for browsers beside it, NAME.browser.ts: in dist/ others
 * import it as `#path/name`, so that the condition "browser" decides.
 */
import { chmodSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensureCompiledKernels } from "./compile_kernels.mjs";
import { ensureTaskList } from "./list_tasks.mjs";
import { root, run } from "./steps.mjs";

const isBench = process.argv[2] === "bench";
const target = join(root, isBench ? ".cache/bench" : "dist");
rmSync(target, { recursive: true, force: true });
ensureTaskList();
const project = isBench ? "tsconfig.bench.json" : "tsconfig.build.json";
run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", project]);
await ensureCompiledKernels();
cpSync(join(root, "core/cpu/compiled.js"), join(target, "core/cpu/compiled.js"));
writeFileSync(join(target, "core/shaders.js"), shaderModule(["core", "kernels", "measure"]));
if (!isBench) {
  const { imports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const conditional = new Map(
    Object.entries(imports).map(([name, { default: file }]) => [join(root, file), name]),
  );
  for (const file of readdirSync(target, { recursive: true, encoding: "utf8" })) {
    if (/\.(js|d\.ts)$/.test(file))
      writeFileSync(join(target, file), linked(join(target, file), conditional));
  }
  chmodSync(join(target, "cli.js"), 0o755);
  await bundleForBrowsers();
}
writeFileSync(join(target, ".built"), "");

/** The module in place of core/shaders.ts: the texts of all shaders in these folders; no file is read at run time. */
function shaderModule(folders) {
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".wgsl"))
      .map((file) => join(folder, file).replaceAll("\\", "/"))
      .sort(),
  );
  const texts = files.map((file) => [file, readFileSync(join(root, file), "utf8")]);
  return `const texts = ${JSON.stringify(Object.fromEntries(texts), null, 2)};

export function wgsl(file) {
  return { file, text: texts[file] };
}
`;
}

/** The text of a compiled file: conditional modules by their `#` names in code, `.js` for `.ts` in types. */
function linked(path, conditional) {
  const text = readFileSync(path, "utf8");
  if (path.endsWith(".d.ts")) return forEveryCompiler(text);
  const named = text.replace(/((?:from|import)\s*\(?\s*)"(\.[^"]+)"/g, (whole, before, specifier) => {
    const name = conditional.get(join(dirname(path), specifier));
    return name === undefined ? whole : `${before}"${name}"`;
  });
  // The compiler wraps names that it does not know into a function, which hides bundlers' comments from them.
  return named
    .replace(/^var __rewriteRelativeImportExtension = [\s\S]*?^};\n/m, "")
    .replaceAll(/__rewriteRelativeImportExtension\(([^)]*)\)/g, "$1");
}

/** Declarations that TypeScript 5.4 and `exactOptionalPropertyTypes` take, too. */
function forEveryCompiler(declarations) {
  const lib = /\[Symbol\.(async)?[dD]ispose\]/.test(declarations)
    ? '/// <reference lib="esnext.disposable" />\n'
    : "";
  return `${lib}${declarations}`
    .replace(/((?:from|import)\s*\(?\s*"\.[^"]+)\.ts"/g, '$1.js"')
    .replace(/\b(\w+Array)<ArrayBuffer(?:Like)?>/g, "$1")
    .replace(/^(\s*(?:readonly )?\w+\?: )(.+);$/gm, "$1($2) | undefined;");
}

/** One file that a page imports without a bundler. */
async function bundleForBrowsers() {
  const { rolldown } = await import("rolldown");
  const bundle = await rolldown({ input: join(target, "browser.js"), platform: "browser", cwd: root });
  await bundle.write({
    file: join(target, "florence2.browser.js"),
    format: "esm",
    minify: true,
    codeSplitting: false,
  });
  await bundle.close();
}
