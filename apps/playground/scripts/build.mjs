/**
 * `node scripts/build.mjs`: the page as static files in `dist/files/`, with the bundled checkpoint and the samples
 * beside it, for any static host and for florence2-server.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { POLICY } from "./policy.mjs";

const app = fileURLToPath(new URL("..", import.meta.url));
const root = join(app, "../..");
const files = join(app, "dist/files");
/** Samples by the names that page/picture/samples.ts gives them. */
const SAMPLES = {
  "scene.png": "examples/scene.png",
  "farm.jpg": "checkpoints/nano/heldout/010.jpg",
  "west.jpg": "checkpoints/nano/heldout/012.jpg",
  "juice.jpg": "checkpoints/nano/heldout/023.jpg",
  "exit.jpg": "checkpoints/nano/heldout/034.jpg",
  "bar.jpg": "checkpoints/nano/heldout/021.jpg",
};

rmSync(join(app, "dist"), { recursive: true, force: true });
const shared = { root: app, configFile: false, logLevel: "error" };
await build({
  ...shared,
  base: "./",
  publicDir: "static",
  plugins: [{ name: "policy", transformIndexHtml: (html) => html.replace("%CSP%", POLICY) }],
  worker: { format: "es" },
  build: { outDir: files, modulePreload: { polyfill: false }, target: "es2022", assetsInlineLimit: 0 },
});
const checkpoint = join(root, "checkpoints/nano");
for (const name of readdirSync(checkpoint).filter((name) => /\.(json|safetensors)$|^merges\.txt$/.test(name)))
  copy(join(checkpoint, name), join(files, "model", name));
for (const [name, source] of Object.entries(SAMPLES)) copy(join(root, source), join(files, "samples", name));
await buildServiceWorker();

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to);
}

/** The service worker knows every file, and has a name of its own for every build. */
async function buildServiceWorker() {
  const names = readdirSync(files, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(files, name)).isFile())
    .map((name) => name.replaceAll("\\", "/"))
    .sort();
  const hash = createHash("sha256");
  for (const name of names) hash.update(name).update(readFileSync(join(files, name)));
  await build({
    ...shared,
    publicDir: false,
    define: {
      FILES: JSON.stringify(names.filter((name) => name !== "index.html")),
      VERSION: JSON.stringify(hash.digest("hex").slice(0, 12)),
    },
    build: {
      outDir: files,
      emptyOutDir: false,
      target: "es2022",
      lib: {
        entry: "service_worker/service_worker.ts",
        formats: ["es"],
        fileName: () => "service_worker.js",
      },
    },
  });
}
