/**
 * What the two commands of the README have to see to before they can do their work. Everything here
 * runs on Node alone, before any package is there, and does nothing where nothing is to be done.
 */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** The oldest Mesa that Dawn takes a software adapter from; Debian 12's own is 22.3. */
const MESA_MAJOR = 24;
const VULKAN_PACKAGES = ["mesa-vulkan-drivers", "libvulkan1"];

function say(message) {
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
  run("npm", ["install", "--no-save", "--no-audit", "--no-fund", ...options], {
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

/** Builds `apps/NAME/dist` if a source of it or of the library is newer than its last build. */
export function ensureApp(name) {
  ensureAppPackages();
  const app = join(root, "apps", name);
  const built = join(app, "dist", ".built");
  const sources = readdirSync(app).filter((entry) => !["dist", "tests", "README.md"].includes(entry));
  const changes = [join(root, "dist", ".built"), ...sources.map((entry) => join(app, entry))].map(
    newestChange,
  );
  if (existsSync(built) && Math.max(...changes) <= statSync(built).mtimeMs) return;
  say(`building apps/${name}`);
  rmSync(join(app, "dist"), { recursive: true, force: true });
  run(process.execPath, [
    join(root, "node_modules/typescript/bin/tsc"),
    "-p",
    join(app, "tsconfig.build.json"),
  ]);
  writeFileSync(built, "");
}

function newestChange(path) {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.mtimeMs;
  return Math.max(stats.mtimeMs, ...readdirSync(path).map((name) => newestChange(join(path, name))));
}

/**
 * Sees to it that WebGPU finds an adapter: the machine's GPU, else software Vulkan installed here.
 * Where neither can be had, says what is missing; the library then computes on the CPU.
 */
export function ensureAdapter() {
  if (hasAdapter()) return;
  const wanted = VULKAN_PACKAGES.join(" ");
  if (process.platform !== "linux" || !existsSync("/usr/bin/apt-get")) {
    say("no GPU and no driver found: the CPU will serve, slowly");
  } else if (process.getuid?.() !== 0) {
    say(
      `no GPU found; install ${wanted} (Mesa ${MESA_MAJOR} or newer) as root for a faster answer. The CPU will serve.`,
    );
  } else {
    try {
      say(`no GPU found: installing software Vulkan (${wanted})`);
      installVulkan();
    } catch (error) {
      say(`that failed (${error.message}); the CPU will serve, slowly`);
    }
  }
}

/** Asks in a process of its own: drivers installed later are not seen by one that looked before. */
function hasAdapter() {
  const script = `import("webgpu").then(async ({ create }) => {
    const gpu = create([]);
    process.exit((await gpu.requestAdapter()) ? 0 : 1);
  }).catch(() => process.exit(1))`;
  return spawnSync(process.execPath, ["-e", script], { cwd: root, stdio: "ignore" }).status === 0;
}

function installVulkan() {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  run("apt-get", ["update", "-qq"], { env });
  const install = ["install", "-y", "-qq", "--no-install-recommends", ...VULKAN_PACKAGES];
  if (mesaCandidate() >= MESA_MAJOR) {
    run("apt-get", install, { env });
    return;
  }
  const { uri, codename } = debianArchive();
  // A copy of the machine's own lists with the backports of the same archive beside them: nothing
  // in /etc changes.
  const lists = mkdtempSync(join(tmpdir(), "florence2-apt-"));
  try {
    const own = "/etc/apt/sources.list.d";
    for (const name of existsSync(own) ? readdirSync(own) : [])
      copyFileSync(join(own, name), join(lists, name));
    writeFileSync(join(lists, "backports.list"), `deb ${uri} ${codename}-backports main\n`);
    const withBackports = ["-o", `Dir::Etc::sourceparts=${lists}`];
    run("apt-get", [...withBackports, "update", "-qq"], { env });
    run("apt-get", [...withBackports, "-t", `${codename}-backports`, ...install], { env });
  } finally {
    rmSync(lists, { recursive: true });
  }
}

function output(command, args) {
  return spawnSync(command, args, { encoding: "utf8" }).stdout ?? "";
}

function mesaCandidate() {
  const policy = output("apt-cache", ["policy", VULKAN_PACKAGES[0]]);
  return Number(/Candidate: (\d+)/.exec(policy)?.[1] ?? 0);
}

/** Where this machine gets Debian itself from, by its own apt configuration. */
function debianArchive() {
  const format = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)";
  const targets = output("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]);
  for (const target of targets.split("\n")) {
    const [origin, uri, release, component] = target.split("|");
    if (origin === "Debian" && component === "main" && release && !release.includes("-"))
      return { uri, codename: release };
  }
  throw new Error("this machine's apt sources name no Debian archive");
}
