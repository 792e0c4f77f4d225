import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { wgsl as read } from "../core/shaders.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

it("the package has what the library and its command read, and nothing else", () => {
  const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: root,
    encoding: "utf8",
  });
  const [{ files }] = JSON.parse(output) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
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
