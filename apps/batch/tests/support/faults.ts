/** What tests of faults have in common: a run that nothing disturbs, and a disk that fills. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { BatchModel } from "../../chunk/compute.ts";
import { newFolder, planned, resultsOf, run } from "./runs.ts";
// @ts-expect-error: plain JavaScript, for workers that run without a build.
import { workerModel } from "./worker_model.mjs";

export const partsIn = (out: string) =>
  existsSync(join(out, "parts"))
    ? readdirSync(join(out, "parts")).filter((name) => !name.endsWith(".part"))
    : [];

/** The same run on one process that nothing disturbs. */
async function undisturbed(folder: string): Promise<string> {
  const out = await planned(folder);
  await run(["work", out], workerModel as BatchModel);
  return (await resultsOf(out)).sha256;
}

/** Each key once, and the bytes of a run that nothing disturbs. */
export async function expectWhole(out: string, folder: string, count: number): Promise<void> {
  const { rows, sha256 } = await resultsOf(out);
  expect(new Set(rows.map(({ key }) => key)).size).toBe(count);
  expect(rows).toHaveLength(count);
  expect(sha256).toBe(await undisturbed(folder));
}

const mount = newFolder();
export const canMount = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", mount]).status === 0;
if (canMount) execFileSync("umount", [mount]);
else console.warn("SKIPPED: no file system can be mounted here; a full disk is not tested");

/** A small disk, and what fills it but for some kilobytes. */
export async function onSmallDisk(
  use: (disk: { readonly folder: string; fill(): void; empty(): void }) => Promise<void>,
): Promise<void> {
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", mount]);
  const filler = join(mount, "filler");
  try {
    await use({
      folder: mount,
      fill() {
        spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=1k", "count=1000"]);
        spawnSync("truncate", ["-s", "-12k", filler]);
      },
      empty: () => rmSync(filler),
    });
  } finally {
    execFileSync("umount", ["-l", mount]);
  }
}
