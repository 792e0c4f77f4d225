/**
 * `npm run conformance --workspace apps/server`: the conformance suite of the Model Context Protocol against `/mcp`,
 * for both generations of the protocol. Ends with 1 for a failure that is not listed below, and for a line of the
 * list that no failure meets. The suite is installed below `.cache/`; it speaks HTTP alone, not standard input.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ensureApp, ensureBuild, ensurePackages, run } from "../../../scripts/steps.mjs";

const SUITE = "0.2.0-alpha.12";
const REVISIONS = ["2026-07-28", "2025-11-25"];
/** The suite uses functions that Node 20 lacks. */
const NODE = 22;

/** Checks that do not apply, as SCENARIO or SCENARIO:CHECK, by their reason; `*` stands for any end. */
const NOT_APPLICABLE = {
  "the server declares no prompts, resources, completion or logging": [
    ...["prompts-*", "resources-*", "completion-complete", "logging-set-level"],
    ...["caching:sep-2549-prompts-*", "caching:sep-2549-resources-*", "tools-call-with-logging"],
    "input-required-result-non-tool-request",
  ],
  "it calls a tool of the suite's own example server": [
    ...["tools-call-simple-text", "tools-call-image", "tools-call-audio", "tools-call-embedded-resource"],
    ...["tools-call-mixed-content", "tools-call-error", "tools-call-with-progress", "json-schema-2020-12"],
    "server-stateless:sep-2575-server-no-log-without-loglevel",
  ],
  "no tool asks its caller back (sampling, elicitation, roots)": [
    ...["tools-call-sampling", "tools-call-elicitation", "elicitation-*", "input-required-result-*"],
    "server-stateless:sep-2575-server-rejects-undeclared-capability",
    "server-stateless:sep-2575-missing-capability-http-400",
    "server-stateless:sep-2575-http-server-no-independent-requests-on-stream",
  ],
  "no argument of a tool is sent as a header of its own": ["http-custom-header-server-validation"],
  "the server does not offer the extension for tasks": ["tasks-*"],
};

/** The check of every scenario that messages have the form of the protocol. */
const WIRE_FORM = "wire-schema-valid";
/** Lines of the list that a failure met. */
const met = new Set();

ensurePackages();
ensureBuild();
ensureApp("server");
const root = fileURLToPath(new URL("../../../", import.meta.url));
const suite = installed(`@modelcontextprotocol/conformance@${SUITE}`, "dist/index.js");
const node =
  Number(process.versions.node.split(".")[0]) >= NODE
    ? process.execPath
    : installed(`node@${NODE}`, "bin/node");
const server = await startServer();
try {
  const results = REVISIONS.map((revision) => resultsOf(revision, server.url));
  const idle = Object.values(NOT_APPLICABLE)
    .flat()
    .filter((entry) => !met.has(entry));
  if (idle.length > 0) console.log(`listed as not applicable, but nothing fails: ${idle.join(", ")}`);
  process.exitCode = results.every(Boolean) && idle.length === 0 ? 0 : 1;
} finally {
  server.process.kill();
}

/** A file of an npm package, installed if it is not there yet. */
function installed(wanted, file) {
  const folder = join(root, ".cache/conformance", wanted.replaceAll("/", "+"));
  const path = join(folder, "node_modules", wanted.replace(/(?<=.)@.*/, ""), file);
  if (!existsSync(path))
    run("npm", ["install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", wanted], {
      shell: process.platform === "win32",
    });
  return path;
}

/** The program on a free port, with the bundled checkpoint. */
async function startServer() {
  const main = join(root, "apps/server/dist/main.js");
  const child = spawn(process.execPath, [main, "--device", "cpu", "--port", "0"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let url;
  for await (const line of createInterface({ input: child.stderr })) {
    const { event, url: found } = JSON.parse(line);
    url ??= found;
    if (event === "ready") break;
  }
  child.stderr.resume();
  return { url: `${url}/mcp`, process: child };
}

/** Runs what a revision of the protocol requires, prints what came of it, and says whether it is as it should be. */
function resultsOf(revision, url) {
  const folder = mkdtempSync(join(tmpdir(), "florence2-conformance-"));
  spawnSync(node, [suite, "server", "--url", url, "--requirements", revision, "-o", folder], {
    stdio: "ignore",
  });
  const checks = readdirSync(folder).flatMap((name) => {
    const scenario = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(name)[1];
    return JSON.parse(readFileSync(join(folder, name, "checks.json"), "utf8")).map((check) => ({
      ...check,
      scenario,
      reason: reasonOf(scenario, check),
    }));
  });
  rmSync(folder, { recursive: true });
  const scenarios = new Set(checks.map(({ scenario }) => scenario));
  const failed = checks.filter(({ status }) => status === "FAILURE");
  const unexpected = failed.filter(({ reason }) => reason === undefined);
  const applying = checks.filter(({ reason }) => reason === undefined);
  const passed = applying.filter(({ status }) => status === "SUCCESS");
  const covered = new Set(passed.filter(({ id }) => id !== WIRE_FORM).map(({ scenario }) => scenario));
  console.log(
    `${revision}: ${scenarios.size} scenarios, ${covered.size} apply: ${passed.length} checks pass, ${unexpected.length} fail`,
  );
  for (const { scenario, id, errorMessage } of unexpected)
    console.log(`  failed: ${scenario}:${id}: ${errorMessage}`);
  for (const { scenario, id, errorMessage } of applying.filter(({ status }) => status === "WARNING"))
    console.log(`  warning: ${scenario}:${id}: ${errorMessage}`);
  for (const reason of Object.keys(NOT_APPLICABLE)) {
    const without = new Set(
      failed.filter((check) => check.reason === reason).map(({ scenario }) => scenario),
    );
    if (without.size > 0) console.log(`  not applicable, ${reason}: ${[...without].join(", ")}`);
  }
  return unexpected.length === 0 && passed.length > 0;
}

/** Why a check does not apply, if it does not. */
function reasonOf(scenario, { id, status }) {
  if (id === WIRE_FORM) return undefined;
  for (const [reason, entries] of Object.entries(NOT_APPLICABLE)) {
    const entry = entries.find((one) => {
      const [named, check = "*"] = one.split(":");
      return fits(named, scenario) && fits(check, id);
    });
    if (entry === undefined) continue;
    if (status === "FAILURE") met.add(entry);
    return reason;
  }
  return undefined;
}

function fits(pattern, text) {
  return pattern.endsWith("*") ? text.startsWith(pattern.slice(0, -1)) : text === pattern;
}
