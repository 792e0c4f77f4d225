import { mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makeFolder } from "../../files/make_folder.ts";

it("makes folders with their mode, and ends where none can be made", () => {
  const root = mkdtempSync(join(tmpdir(), "florence2-folders-"));
  makeFolder(join(root, "a/b/c"), 0o700);
  makeFolder(join(root, "a/b/c"));
  expect(statSync(join(root, "a/b")).mode & 0o777).toBe(0o700);
  if (process.platform !== "linux") return;
  expect(() => makeFolder("/proc/x/y")).toThrow("/proc/x");
  expect(() => makeFolder("/dev/null/x")).toThrow("/dev/null");
});
