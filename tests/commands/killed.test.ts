/** The program as it is installed, killed without warning: the files at the end are those of an undisturbed run. */
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { root } from "../support/command.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "florence2-killed-"));
  mkdirSync(join(folder, "images"));
  for (let i = 0; i < 6; i++) {
    const name = `00${i}.jpg`;
    copyFileSync(join(root, "checkpoints/nano/heldout", name), join(folder, "images", name));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `florence2 label`, and ends it once so many images are answered: by a signal, or as its reader goes away. */
function label(
  out: string,
  endAfter = Number.POSITIVE_INFINITY,
  end: "SIGKILL" | "SIGINT" | "reader" = "SIGKILL",
): Promise<{ signal: string | null; code: number | null }> {
  const options = "--task od --format coco,yolo --device cpu --batch 1 --progress json".split(" ");
  const [from, to] = [join(folder, "images"), join(folder, out)];
  const args = [join(root, "dist/cli.js"), "label", from, "--out", to, ...options];
  // However busy the machine, it goes no further meanwhile.
  const stopping = ["--import", join(root, "tests/support/stop_at_line.mjs")];
  const env = { ...process.env, STOP_AT_LINE: String(endAfter) };
  const child = spawn(process.execPath, [...stopping, ...args], { stdio: ["ignore", "pipe", "ignore"], env });
  let lines = 0;
  let waking: NodeJS.Timeout | undefined;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    lines += text.split("\n").length - 1;
    if (lines < endAfter) return;
    if (end === "reader") child.stdout.destroy();
    else child.kill(end);
    // Again and again: it may be about to stop.
    waking ??= setInterval(() => child.kill("SIGCONT"), 50);
  });
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      clearInterval(waking);
      resolve({ code, signal });
    });
  });
}

function contentOf(out: string): Record<string, string> {
  const entries = readdirSync(join(folder, out), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    files.sort().map((file) => [file.slice(join(folder, out).length), readFileSync(file).toString("base64")]),
  );
}

/** Images whose answers are on the disk in full. */
const answered = (out: string) =>
  readFileSync(join(folder, out, "answers.jsonl"), "utf8").split("\n").length - 2;

it("killed twice, goes on to the same bytes", async () => {
  expect(await label("whole")).toEqual({ code: 0, signal: null });
  expect(await label("killed", 1)).toEqual({ code: null, signal: "SIGKILL" });
  const first = answered("killed");
  expect(await label("killed", 2)).toEqual({ code: null, signal: "SIGKILL" });
  const second = answered("killed");
  expect(first).toBeGreaterThanOrEqual(1);
  expect(second).toBeGreaterThan(first);
  expect(second).toBeLessThan(6);
  expect(existsSync(join(folder, "killed", "summary.json"))).toBe(false);
  expect(await label("killed")).toEqual({ code: 0, signal: null });
  expect(contentOf("killed")).toEqual(contentOf("whole"));
});

it("stopped by a signal, or as its reader goes away, leaves no lock and goes on to the same bytes", async () => {
  await label("whole");
  for (const end of ["SIGINT", "reader"] as const) {
    expect(await label(end, 2, end)).toEqual({ code: 130, signal: null });
    expect(answered(end)).toBeLessThan(6);
    expect(readdirSync(join(folder, end))).toEqual(["answers.jsonl"]);
    expect(await label(end)).toEqual({ code: 0, signal: null });
    expect(contentOf(end)).toEqual(contentOf("whole"));
  }
});
