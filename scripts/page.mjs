/**
 * `npm run page [-- --port N]`: sets up what is missing, then serves the playground to browsers of this machine. Any
 * static host serves `apps/playground/dist/files` as well.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureApp, ensureBuild, ensurePackages, root } from "./steps.mjs";

const { values } = parseArgs({ options: { port: { type: "string", default: "4173" } } });
ensurePackages();
ensureBuild();
ensureApp("playground");
const { preview } = await import("vite");
// Browsers give WebGPU to pages of this machine without a certificate.
// Pages that are isolated from other origins may share memory between threads.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
const server = await preview({
  root: join(root, "apps/playground"),
  configFile: false,
  logLevel: "error",
  build: { outDir: "dist/files" },
  preview: { headers, port: Number(values.port) },
});
console.log(`The playground: ${server.resolvedUrls.local[0]}`);
