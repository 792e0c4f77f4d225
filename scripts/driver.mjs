/**
 * Mesa's software Vulkan: the device on which tests run shaders where there is no GPU. The library itself needs no
 * driver, so that nothing but `npm test` and `--install-driver` installs one.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, run, say } from "./steps.mjs";

/** The oldest Mesa that Dawn takes a software adapter from; Debian 12's own is 22.3. */
const MESA_MAJOR = 24;
const VULKAN_PACKAGES = ["mesa-vulkan-drivers", "libvulkan1"];

/** Installs software Vulkan where WebGPU finds no adapter; says so where that cannot be done. */
export function ensureDriver() {
  if (hasAdapter()) return;
  const wanted = `${VULKAN_PACKAGES.join(" ")} (Mesa ${MESA_MAJOR} or newer)`;
  if (process.platform !== "linux" || !existsSync("/usr/bin/apt-get")) {
    say("no GPU found, and no driver can be installed here: needs Debian or Ubuntu");
  } else if (process.getuid?.() !== 0) {
    say(`no GPU found; to install ${wanted} this must run as root`);
  } else {
    try {
      say(`no GPU found: installing ${wanted}`);
      installVulkan();
    } catch (error) {
      say(`that failed: ${error.message}`);
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
