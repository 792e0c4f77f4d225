import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makeFolder } from "../../files/make_folder.ts";

it("makes a folder and those above it, or says why not", () => {
  const root = mkdtempSync(join(tmpdir(), "florence2-make-folder-"));
  makeFolder(join(root, "a", "b", "c"));
  makeFolder(join(root, "a", "b", "c"));
  expect(existsSync(join(root, "a", "b", "c"))).toBe(true);
  writeFileSync(join(root, "file"), "");
  for (const path of [join(root, "file"), join(root, "file", "below")])
    expect(() => makeFolder(path)).toThrow();
  // Node's mkdir with `recursive` never returns here.
  if (process.platform === "linux") expect(() => makeFolder("/proc/x/y")).toThrow("/proc/x");
  rmSync(root, { recursive: true });
});
