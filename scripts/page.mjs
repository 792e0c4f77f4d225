/** `npm run page`: sets up what is missing, then serves the example page to browsers of this machine. */
import { ensureBuild, ensurePackages, root } from "./steps.mjs";

ensurePackages();
ensureBuild();
const { preview } = await import("vite");
// Browsers give WebGPU to pages of this machine without a certificate.
// Pages that are isolated from other origins may share memory between threads.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
const server = await preview({
  root,
  configFile: false,
  logLevel: "error",
  build: { outDir: "." },
  preview: { headers },
});
const page = `${server.resolvedUrls.local[0]}examples/browser.html`;
console.log(`The bundled checkpoint: ${page}`);
console.log(`The released weights:   ${page}?model=microsoft/Florence-2-base`);
