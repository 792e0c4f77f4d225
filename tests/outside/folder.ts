/**
 * The folder in which everything here happens: empty but for the packed package, the tools that people use it with,
 * and what the trials write. FLORENCE2_OUTSIDE names one that is kept, so that tools are installed once.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    folder: string;
  }
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Versions of the tools. */
const TOOLS = {
  "@arethetypeswrong/cli": "^0.18.5",
  "@rollup/plugin-node-resolve": "^16.0.3",
  "@types/node": "^20.19.0",
  bun: "^1.4.5",
  deno: "^2.9.6",
  esbuild: "^0.28.2",
  jest: "^30.5.2",
  next: "^16.4.6",
  node22: "npm:node@^22",
  node24: "npm:node@^24",
  publint: "^0.3.25",
  react: "^19.3.1",
  "react-dom": "^19.3.1",
  rollup: "^4.68.8",
  typescript54: "npm:typescript@~5.4.5",
  typescript56: "npm:typescript@~5.6.3",
  typescript58: "npm:typescript@~5.8.3",
  typescript59: "npm:typescript@~5.9.3",
  typescript60: "npm:typescript@~6.0.3",
  typescript70: "npm:typescript@^7.0.2",
  vite: "^8.3.8",
  vite7: "npm:vite@^7.3.8",
  webpack: "^5.113.0",
};

export default function setUp(project: TestProject): () => void {
  const kept = process.env.FLORENCE2_OUTSIDE;
  const folder = kept ?? mkdtempSync(join(tmpdir(), "florence2-outside-"));
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder))
    if (!["node_modules", "package-lock.json"].includes(name))
      rmSync(join(folder, name), { recursive: true });
  const npm = (...args: string[]) => execFileSync("npm", args, { cwd: folder, encoding: "utf8" });
  execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder], { cwd: root });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"))!;
  const dependencies = { ...TOOLS, "florence2-webgpu": `file:${tarball}` };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies }));
  // A packed file of the same name and version counts as installed.
  rmSync(join(folder, "node_modules/florence2-webgpu"), { recursive: true, force: true });
  rmSync(join(folder, "package-lock.json"), { force: true });
  npm("install", "--no-audit", "--no-fund", "--prefer-offline");
  cpSync(fileURLToPath(new URL("projects", import.meta.url)), join(folder, "projects"), { recursive: true });
  cpSync(join(folder, "node_modules/florence2-webgpu/checkpoints/nano"), join(folder, "public/nano"), {
    recursive: true,
  });
  cpSync(join(root, "examples/scene.png"), join(folder, "public/scene.png"));
  project.provide("folder", folder);
  return () => {
    if (kept === undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
}
