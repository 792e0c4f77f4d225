/**
 * `node --experimental-vm-modules other_realm.mjs FOLDER IMAGE`: the built library in a realm of its own, as Jest loads
 * modules: errors, URLs and bytes of Node are instances of none of its classes. Prints a caption, and the codes of two
 * errors.
 */
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import vm from "node:vm";

const [folder, image] = process.argv.slice(2);
/** What is no part of the language comes from Node, and as in Jest its bytes. */
const language = new Set(vm.runInNewContext("Object.getOwnPropertyNames(globalThis)"));
const others = Object.getOwnPropertyNames(globalThis).filter((name) => !language.has(name));
const shared = [...others, "ArrayBuffer", "Uint8Array"];
const context = vm.createContext(Object.fromEntries(shared.map((name) => [name, globalThis[name]])));
const modules = new Map();

function resolve(specifier, parent) {
  if (isBuiltin(specifier)) return specifier;
  return /^[./]/.test(specifier)
    ? new URL(specifier, parent).href
    : /^file:/.test(specifier)
      ? specifier
      : import.meta.resolve(specifier);
}

async function foreign(url) {
  const found = await import(url);
  const names = Object.keys(found);
  return new vm.SyntheticModule(
    names,
    function () {
      for (const name of names) this.setExport(name, found[name]);
    },
    { context },
  );
}

function moduleAt(url) {
  if (!modules.has(url)) modules.set(url, make(url));
  return modules.get(url);
}

async function make(url) {
  if (!url.includes("/dist/") || url.includes("/node_modules/")) return foreign(url);
  return new vm.SourceTextModule(readFileSync(fileURLToPath(url), "utf8"), {
    context,
    identifier: url,
    initializeImportMeta: (meta) => Object.assign(meta, { url }),
    importModuleDynamically: async (specifier) => ready(await moduleAt(resolve(specifier, url))),
  });
}

async function ready(module) {
  if (module.status === "unlinked")
    await module.link(async (specifier, { identifier }) => moduleAt(resolve(specifier, identifier)));
  if (module.status === "linked") await module.evaluate();
  return module;
}

const index = new URL("../../dist/index.js", import.meta.url).href;
const { Florence2 } = (await ready(await moduleAt(index))).namespace;
const codeOf = (promise) => promise.then(String, ({ name, code }) => `${name} ${code}`);
const model = await Florence2.fromPretrained(folder, { device: "cpu", threads: 2 });
const captions = [];
for (const input of [image, pathToFileURL(image), readFileSync(image)])
  captions.push((await model.run(input, "<CAPTION>")).text);
const errors = [
  await codeOf(Florence2.fromPretrained("/no/such/folder", { device: "cpu" })),
  await codeOf(model.run("/no/such/image.png", "<CAPTION>")),
];
model.dispose();
console.log(JSON.stringify({ captions, errors }));
