/** Bundlers for pages: each builds `projects/page.js` untouched, and a browser opens what came out. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { chromium } from "../support/chromium.ts";
import { call, expectPage, folder, serveFolders, started, tool, write } from "./tools.ts";

const page = (script: string) =>
  `<!doctype html><title>x</title><script type="module" src="${script}"></script>`;
const shared = join(folder, "public");

/** A bundler's output has no import left that a browser cannot follow. */
async function expectBuilt(output: string): Promise<void> {
  if (!chromium) return;
  write(`${output}/index.html`, page("./page.js"));
  const served = await serveFolders(join(folder, output), shared);
  await expectPage(`${served.url}/index.html`).finally(served.stop);
}

describe.each([
  ["7", "vite7/bin/vite.js"],
  ["8", "vite/bin/vite.js"],
])("Vite %s", (version, script) => {
  const name = `vite-${version}`;
  beforeAll(() => {
    write(`${name}/index.html`, page("/page.js"));
    cpSync(join(folder, "projects/page.js"), join(folder, name, "page.js"));
    cpSync(shared, join(folder, name, "public"), { recursive: true });
  });

  it("builds, and its preview serves", async () => {
    await call(process.execPath, [tool(script), "build", name]);
    if (!chromium) return;
    const server = await started(process.execPath, [tool(script), "preview", name, "--port", "0"], folder);
    await expectPage(server.url).finally(server.stop);
  });

  it.skipIf(!chromium)("serves while one works on it", async () => {
    const server = await started(process.execPath, [tool(script), name, "--port", "0"], folder);
    await expectPage(server.url).finally(server.stop);
  });
});

it("webpack 5, with a worker too", async () => {
  write(
    "webpack.cjs",
    `const webpack = require("webpack");
    const entry = { page: "./projects/page.js", worker_page: "./projects/worker_page.js" };
    const output = { path: __dirname + "/webpack", filename: "[name].js", publicPath: "auto" };
    webpack({ mode: "production", context: __dirname, entry, output, performance: false }, (error, stats) => {
      console.log(String(error ?? stats.toString({ all: false, errors: true, warnings: true })));
      process.exit(error || stats.hasErrors() || stats.hasWarnings() ? 1 : 0);
    });`,
  );
  await call(process.execPath, ["webpack.cjs"]);
  await expectBuilt("webpack");
  if (!chromium) return;
  write("webpack/worker.html", page("./worker_page.js"));
  const served = await serveFolders(join(folder, "webpack"), shared);
  await expectPage(`${served.url}/worker.html`).finally(served.stop);
});

it("Rollup", async () => {
  write(
    "rollup.config.mjs",
    `import resolve from "@rollup/plugin-node-resolve";
    const onwarn = (warning) => { throw new Error(warning.message); };
    export default { input: "projects/page.js", output: { dir: "rollup" }, plugins: [resolve({ browser: true })], onwarn };`,
  );
  await call(process.execPath, [tool("rollup/dist/bin/rollup"), "-c", "rollup.config.mjs"]);
  await expectBuilt("rollup");
});

it("esbuild", async () => {
  await call(tool(".bin/esbuild"), [
    "projects/page.js",
    "--bundle",
    "--format=esm",
    "--outfile=esbuild/page.js",
  ]);
  await expectBuilt("esbuild");
});

it.each(["florence2-webgpu/tokenizer", "florence2-webgpu/draw", "florence2-webgpu"])(
  "esbuild takes %s alone, without a word of Node",
  async (name) => {
    const imported = { "florence2-webgpu/tokenizer": "Tokenizer", "florence2-webgpu/draw": "drawAnswer" };
    const one = imported[name as keyof typeof imported] ?? "parseAnswer";
    write("alone.js", `import { ${one} } from "${name}"; globalThis.kept = ${one};`);
    // For a platform that is none, the model itself would need to know where its files are.
    for (const platform of one === "parseAnswer" ? ["browser"] : ["browser", "neutral"]) {
      const args = ["alone.js", "--bundle", "--format=esm", `--platform=${platform}`];
      const text = await call(tool(".bin/esbuild"), args);
      expect(text.length).toBeGreaterThan(1000);
      if (platform === "browser") expect(text).not.toMatch(/\bnode:/);
      expect(text).not.toMatch(/import\("node:/);
      expect(text).not.toMatch(/import\("webgpu|GPUDevice|requestAdapter/);
    }
  },
);

it("bun build", async () => {
  await call(tool(".bin/bun"), ["build", "projects/page.js", "--target=browser", "--outdir=bun"]);
  await expectBuilt("bun");
});

it.skipIf(!chromium)("one file, without a bundler", async () => {
  const module = "/florence2.browser.js";
  write(
    "single/index.html",
    `<!doctype html><title>x</title><script type="module">
      import { drawAnswer, Florence2 } from "${module}";
      const ask = async () => {
        const model = await Florence2.fromPretrained(new URL("/nano/", location.href), { device: "cpu" });
        const { answer } = await model.run(new URL("/scene.png", location.href), "<CAPTION>", { numBeams: 1 });
        return drawAnswer(answer, { width: 9, height: 9 }).includes("<svg") ? answer : "no drawing";
      };
      ask().then((answer) => (globalThis.outcome = answer), (error) => (globalThis.outcome = String(error?.stack)));
    </script>`,
  );
  const served = await serveFolders(join(folder, "single"), tool("florence2-webgpu/dist"), shared);
  await expectPage(`${served.url}/index.html`).finally(served.stop);
});

it("Next: a client component and a route, without configuration", async () => {
  cpSync(join(folder, "projects/next"), join(folder, "next"), { recursive: true });
  cpSync(shared, join(folder, "next/public"), { recursive: true });
  write("next/package.json", JSON.stringify({ private: true }));
  const next = tool("next/dist/bin/next");
  await call(process.execPath, [next, "build"], join(folder, "next"));
  const server = await started(process.execPath, [next, "start", "-p", "0"], join(folder, "next"));
  try {
    const response = await fetch(`${server.url}/api/caption`);
    expect(await response.text(), server.said()).toContain("An elephant, a boat");
    if (chromium) await expectPage(server.url);
  } finally {
    server.stop();
  }
});
