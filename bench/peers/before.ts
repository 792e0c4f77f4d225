import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Florence2Error } from "../../core/errors.ts";
import type { Contestant, Question } from "./contestant.ts";
import { PACKAGES } from "./onnxruntime.ts";

/** The last commit before the CPU engine: a machine without a GPU computed by software Vulkan. */
const COMMIT = "a859238";

/**
 * This library as it was before the CPU engine, on the WebGPU adapter that it finds.
 *
 * @throws {Florence2Error} `dependency_missing` if git's history does not reach so far, or it does not build
 */
export async function openBefore(question: Question): Promise<Contestant> {
  const folder = join(PACKAGES, COMMIT);
  ensureBuilt(folder);
  const program = pathToFileURL(join(folder, ".cache/bench/bench/peers/ours.js"));
  const { openOurs } = (await import(program.href)) as { openOurs(question: Question): Promise<Contestant> };
  const { version, ...contestant } = await openOurs({ ...question, dtype: "f32" });
  return { version: `${version}, ${COMMIT}`, ...contestant };
}

/** Takes the commit's files out of git's history and compiles them, with the packages of this checkout, once. */
function ensureBuilt(folder: string): void {
  const complete = join(folder, "complete");
  if (existsSync(complete)) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const archive = join(folder, "source.tar");
  run("git", ["archive", "--output", archive, COMMIT]);
  run("tar", ["-xf", archive, "-C", folder]);
  rmSync(archive);
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"), "junction");
  run(process.execPath, [join(folder, "setup/build.mjs"), "bench"]);
  writeFileSync(complete, "");
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (error || status !== 0) {
    const reason = error?.message ?? stderr.trim().split("\n").at(-1);
    throw new Florence2Error(
      "dependency_missing",
      `commit ${COMMIT} can't be built: ${command} ${args.join(" ")}: ${reason}`,
      { commit: COMMIT },
    );
  }
}
