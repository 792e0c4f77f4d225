import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { wgsl as read } from "../core/shaders.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The files that `npm pack` would put into the package of a folder that is built. */
function packedFiles(folder: string): string[] {
  const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: folder,
    encoding: "utf8",
  });
  const [{ files }] = JSON.parse(output) as [{ files: { path: string }[] }];
  return files.map(({ path }) => path);
}

it("the package has what the library and its command read, and nothing else", () => {
  const paths = packedFiles(root);
  expect(paths.filter((path) => !path.startsWith("dist/")).sort()).toEqual(
    [
      "CHANGELOG.md",
      "CONTRIBUTING.md",
      "LICENSE",
      "README.md",
      "SECURITY.md",
      "checkpoints/nano/README.md",
      "checkpoints/nano/added_tokens.json",
      "checkpoints/nano/config.json",
      "checkpoints/nano/generation_config.json",
      "checkpoints/nano/model.safetensors",
      "checkpoints/nano/merges.txt",
      "checkpoints/nano/preprocessor_config.json",
      "checkpoints/nano/special_tokens_map.json",
      "checkpoints/nano/tokenizer.json",
      "checkpoints/nano/tokenizer_config.json",
      "checkpoints/nano/vocab.json",
      ...["accuracy", "browsers", "design", "errors", "folders", "models", "performance", "usage"].map(
        (page) => `docs/${page}.md`,
      ),
      ...["label", "playground", "read", "regions"].map((image) => `docs/images/${image}.jpg`),
      "examples/gallery/overview.jpg",
      "examples/scene.png",
      "package.json",
    ].sort(),
  );
  expect(paths.filter((path) => path.endsWith(".wgsl"))).toEqual([]);
});

it.each(readdirSync(join(root, "apps")))("the package of apps/%s has what its package.json names", (app) => {
  const folder = join(root, "apps", app);
  const {
    bin = {},
    exports = {},
    scripts,
  } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    bin?: Record<string, string>;
    exports?: Record<string, string | Record<string, string>>;
    scripts: Record<string, string>;
  };
  // Without it, npm packs an empty folder and says nothing.
  expect(scripts.prepack).toBe("npm run --silent build");
  const named = [...Object.values(bin), ...Object.values(exports)]
    .flatMap((target) => (typeof target === "string" ? [target] : Object.values(target)))
    .map((target) => target.replace(/^\.\//, "").replace(/\*$/, "index.html"));
  expect(packedFiles(folder)).toEqual(expect.arrayContaining(["README.md", ...named]));
});

it("the built module of shaders holds the text of every shader file", async () => {
  const { wgsl } = (await import(pathToFileURL(join(root, "dist/core/shaders.js")).href)) as {
    wgsl: typeof read;
  };
  for (const folder of ["core", "kernels"]) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      if (name.endsWith(".wgsl")) expect(wgsl(`${folder}/${name}`)).toEqual(read(`${folder}/${name}`));
    }
  }
});
