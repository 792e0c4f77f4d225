/** Runtimes with files, and bundlers for them: each runs `projects/server.js` untouched. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CAPTION, call, folder, tool, write } from "./tools.ts";

const expectAnswer = (stdout: string) =>
  expect(JSON.parse(stdout.trim().split("\n").at(-1)!)).toEqual({
    answer: CAPTION,
    kind: "cpu",
    isDrawn: true,
  });

describe.each([
  ["this Node", process.execPath],
  ["Node 22", tool("node22/bin/node")],
  ["Node 24", tool("node24/bin/node")],
])("%s", (_, node) => {
  it("imports it", async () => expectAnswer(await call(node, ["projects/server.mjs"])));
  it("requires it", async () => expectAnswer(await call(node, ["projects/server.cjs"])));
});

it("Deno", async () => {
  expectAnswer(await call(tool(".bin/deno"), ["run", "-A", "projects/server.mjs"]));
});

it("Bun", async () => {
  expectAnswer(await call(tool(".bin/bun"), ["projects/server.mjs"]));
});

describe.each(["esm", "cjs"])("esbuild, %s", (format) => {
  const output = `esbuild-node/out.${format === "esm" ? "mjs" : "cjs"}`;
  it("bundles it for Node, nothing left out", async () => {
    const args = ["--bundle", "--platform=node", `--format=${format}`, `--outfile=${output}`];
    await call(tool(".bin/esbuild"), ["projects/server.mjs", ...args]);
    expectAnswer(await call(process.execPath, [output]));
  });
});

it("bun build for Node", async () => {
  await call(tool(".bin/bun"), ["build", "projects/server.mjs", "--target=node", "--outdir=bun-node"]);
  expectAnswer(await call(process.execPath, ["bun-node/server.js"]));
});

it("webpack for Node", async () => {
  write(
    "webpack_node.cjs",
    `const webpack = require("webpack");
    const output = { path: __dirname + "/webpack-node", filename: "out.cjs" };
    webpack({ mode: "production", target: "node", context: __dirname, entry: "./projects/server.mjs", output }, (error, stats) => {
      console.log(String(error ?? stats.toString({ all: false, errors: true, warnings: true })));
      process.exit(error || stats.hasErrors() || stats.hasWarnings() ? 1 : 0);
    });`,
  );
  await call(process.execPath, ["webpack_node.cjs"]);
  expectAnswer(await call(process.execPath, ["webpack-node/out.cjs"]));
});

it("Jest", async () => {
  write("jest/jest.config.json", JSON.stringify({ testMatch: ["**/*.jest.mjs"], transform: {} }));
  write(
    "jest/caption.jest.mjs",
    `import { readFileSync } from "node:fs";
    import { Florence2 } from "florence2-webgpu";
    test("caption", async () => {
      const model = await Florence2.fromPretrained("../public/nano", { device: "cpu" });
      for (const image of ["../public/scene.png", readFileSync("../public/scene.png")])
        expect((await model.run(image, "<CAPTION>", { numBeams: 1 })).text).toBe(${JSON.stringify(CAPTION)});
      await expect(model.run("missing.png", "<CAPTION>")).rejects.toMatchObject({ code: "file_not_found" });
      model.dispose();
    }, 60_000);`,
  );
  const jest = ["--experimental-vm-modules", tool("jest/bin/jest.js"), "--config", "jest.config.json"];
  await call(process.execPath, jest, join(folder, "jest"));
});

it("the command runs where it is installed", async () => {
  const version = await call(tool(".bin/florence2"), ["--version"]);
  expect(version).toMatch(/^\d+\.\d+\.\d+\n$/);
});

it("package.json and the bundled checkpoint are there by name", async () => {
  write(
    "names.mjs",
    `console.log(import.meta.resolve("florence2-webgpu/package.json"), import.meta.resolve("florence2-webgpu/checkpoints/nano/config.json"));`,
  );
  expect(await call(process.execPath, ["names.mjs"])).toMatch(/package\.json file:.*nano\/config\.json/);
});
