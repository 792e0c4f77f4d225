import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Roots } from "../roots.ts";

const top = mkdtempSync(join(tmpdir(), "florence2-roots-"));
const [root, second, outside] = ["root", "second", "outside"].map((name) => join(top, name)) as [
  string,
  string,
  string,
];
for (const folder of [root, second, outside, join(root, "sub")]) mkdirSync(folder);
for (const folder of [root, second, outside]) writeFileSync(join(folder, "a.png"), folder);
writeFileSync(`${root}-beside.png`, "beside");
symlinkSync(join(outside, "a.png"), join(root, "link.png"));
symlinkSync(outside, join(root, "folder"));
symlinkSync(join(second, "a.png"), join(root, "allowed.png"));

const roots = new Roots([root, second], 100);
const read = async (path: string) => Buffer.from(await roots.read(path)).toString();

it("reads files in each root, by relative names from the first one", async () => {
  expect(await read("a.png")).toBe(root);
  expect(await read(join(root, "sub/../a.png"))).toBe(root);
  expect(await read(join(second, "a.png"))).toBe(second);
  expect(await read("allowed.png")).toBe(second);
});

it("reads files in a root that is a link, by the name of either", async () => {
  const link = join(top, "pictures");
  symlinkSync(root, link);
  const linked = new Roots([link], 100);
  for (const path of ["a.png", join(link, "a.png"), join(root, "a.png")])
    expect(Buffer.from(await linked.read(path)).toString()).toBe(root);
  await expect(linked.read(join(second, "a.png"))).rejects.toMatchObject({ code: "path_not_allowed" });
});

it("knows which roots are no folders", async () => {
  const gone = join(top, "gone");
  const all = new Roots([root, gone, join(root, "a.png")], 100);
  expect(await all.missing()).toEqual([gone, join(root, "a.png")]);
});

it.each([
  ["a path up", "../outside/a.png"],
  ["an absolute path", join(outside, "a.png")],
  ["a path that begins like a root", `${root}-beside.png`],
  ["a missing file outside", "../outside/none.png"],
  ["a link to a file outside", "link.png"],
  ["a link to a folder outside", "folder/a.png"],
])("refuses %s, with the roots and the remedy", async (_, path) => {
  await expect(read(path)).rejects.toMatchObject({
    code: "path_not_allowed",
    message: expect.stringMatching(/root, .*second are.*--root FOLDER/),
  });
});

it("refuses all when no folder is allowed", async () => {
  const none = new Roots([], 100);
  await expect(none.read(join(root, "a.png"))).rejects.toMatchObject({ code: "path_not_allowed" });
});

it("names what is missing, too large, or no file", async () => {
  await expect(read("none.png")).rejects.toMatchObject({ code: "file_not_found" });
  await expect(read("sub")).rejects.toMatchObject({ code: "invalid_image" });
  await expect(new Roots([root], 3).read("a.png")).rejects.toMatchObject({ code: "image_too_large" });
});

it.skipIf(process.platform === "win32")("does not wait for a pipe", async () => {
  execFileSync("mkfifo", [join(root, "pipe")]);
  await expect(read("pipe")).rejects.toMatchObject({ code: "invalid_image" });
});
