/**
 * Steps before a program can run in a checkout: packages and build. Everything here runs on Node alone, before any
 * package is there, and does nothing where nothing is to be done.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

export function say(message) {
  console.error(`[setup] ${message}`);
}

/** Runs a command in the project's root with its output shown; throws when it fails. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2], ...options });
  if (error || status !== 0)
    throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? `exit ${status}`}`);
}

/** Installs the packages of the library that the lock file names, unless they are there already. Those of the apps stay away. */
export function ensurePackages() {
  if (!isCurrent(join(root, "node_modules", ".package-lock.json")))
    install("packages", ["--workspaces=false"]);
}

/** Installs the packages of the apps as well. */
export function ensureAppPackages() {
  const stamp = join(root, "node_modules", ".apps");
  if (isCurrent(stamp)) return;
  install("packages of the apps", []);
  writeFileSync(stamp, "");
}

function isCurrent(installed) {
  return (
    existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs
  );
}

function install(what, options) {
  say(`installing ${what}`);
  // Not `npm ci`: it wants the lock file to list the binaries of every platform, and npm writes only some.
  run("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", ...options], {
    shell: process.platform === "win32",
  });
}

/** The folders and files that make up the package: the one list of rooms, which the type check and the architecture test read too. */
export const rooms = JSON.parse(readFileSync(join(root, "tsconfig.build.json"), "utf8")).include;

/** Builds `dist/` if a source is newer than the last build. */
export function ensureBuild() {
  const built = join(root, "dist", ".built");
  const sources = [...rooms, "scripts", "tsconfig.json", "tsconfig.build.json"];
  if (existsSync(built) && sources.every((path) => newestChange(join(root, path)) <= statSync(built).mtimeMs))
    return;
  say("building");
  run(process.execPath, [join(root, "scripts", "build.mjs")]);
}

/** Builds `apps/NAME/dist`, and before it the apps that it stands on, if a source is newer than the last build. */
export function ensureApp(name) {
  ensureAppPackages();
  const app = join(root, "apps", name);
  const { dependencies = {} } = JSON.parse(readFileSync(join(app, "package.json"), "utf8"));
  const below = Object.keys(dependencies).flatMap((other) => /^florence2-(\w+)$/.exec(other)?.[1] ?? []);
  below.forEach(ensureApp);
  const built = join(app, "dist", ".built");
  const sources = readdirSync(app).filter((entry) => !["dist", "tests", "README.md"].includes(entry));
  const builds = [root, ...below.map((other) => join(root, "apps", other))];
  const changes = [
    ...builds.map((folder) => join(folder, "dist", ".built")),
    ...sources.map((entry) => join(app, entry)),
  ].map(newestChange);
  if (existsSync(built) && Math.max(...changes) <= statSync(built).mtimeMs) return;
  say(`building apps/${name}`);
  rmSync(join(app, "dist"), { recursive: true, force: true });
  const own = join(app, "scripts/build.mjs");
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  run(process.execPath, existsSync(own) ? [own] : [compiler, "-p", join(app, "tsconfig.build.json")]);
  writeFileSync(built, "");
}

function newestChange(path) {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.mtimeMs;
  return Math.max(stats.mtimeMs, ...readdirSync(path).map((name) => newestChange(join(path, name))));
}
