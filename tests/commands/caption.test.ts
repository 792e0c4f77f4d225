import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { caption } from "../../commands/caption/caption.ts";
import { FILES, images, out, quiet, text } from "../support/image_folder.ts";
import { madeUp } from "../support/made_up_model.ts";

describe("florence2 caption", () => {
  const sidecars = () =>
    Object.fromEntries(
      ["a.txt", "e.txt", "f.txt"].map((name) => [
        name,
        existsSync(join(images, name)) ? text("images", name) : undefined,
      ]),
    );

  for (const [mode, a] of [
    ["skip", "old tag"],
    ["overwrite", "ohwx; pre thing 0. post"],
    ["append", "old tag; ohwx; pre thing 0. post"],
    ["prepend", "ohwx; pre thing 0. post; old tag"],
  ] as const) {
    it(`mode ${mode}: one line for each image, byte for byte`, async () => {
      writeFileSync(join(images, "a.txt"), "old tag");
      const { model, asked } = madeUp();
      const style = [
        "--clean",
        "--prefix",
        "pre ",
        "--suffix",
        " post",
        "--trigger",
        "ohwx",
        "--separator",
        "; ",
      ];
      expect(await caption([images, "--mode", mode, ...style, ...quiet], model)).toBe(0);
      expect(sidecars()).toEqual({
        "a.txt": a,
        "e.txt": "ohwx; pre thing 3. post",
        "f.txt": "ohwx; pre thing 4. post",
      });
      expect(asked).toHaveLength(mode === "skip" ? 2 : 3);
      // Nothing is added a second time.
      expect(await caption([images, "--mode", mode, ...style, ...quiet], madeUp().model)).toBe(0);
      expect(sidecars()["a.txt"]).toBe(a);
    });
  }

  it("stopped between the log and the files, writes those files and adds nothing twice", async () => {
    writeFileSync(join(images, "a.txt"), "old");
    const args = [images, "--mode", "append", "--batch", "1", ...quiet];
    await expect(caption(args, madeUp({ patience: 2 }).model)).rejects.toThrow("pulled the plug");
    writeFileSync(join(images, "e.txt"), "");
    expect(await caption(args, madeUp().model)).toBe(0);
    expect(sidecars()).toEqual({
      "a.txt": "old, The image shows thing 0.",
      "e.txt": "The image shows thing 3.",
      "f.txt": "The image shows thing 4.",
    });
  });

  it("writes tables and other endings into another folder", async () => {
    const args = [images, "-r", "--ext", "caption", "--metadata", "jsonl", "--out", out("captions")];
    expect(await caption([...args, ...quiet], madeUp().model)).toBe(0);
    expect(text("captions", "b", "a.caption")).toBe("The image shows thing 1.");
    const lines = text("captions", "metadata.jsonl")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ file_name }) => file_name)).toEqual(FILES);
    expect(lines[0]).toEqual({ file_name: "a.png", text: "The image shows thing 0." });
    expect(readdirSync(images)).not.toContain("a.caption");
    expect(await caption([images, "--metadata", "csv", "--out", out("csv"), ...quiet], madeUp().model)).toBe(
      0,
    );
    expect(text("csv", "metadata.csv").split("\r\n").slice(0, 2)).toEqual([
      "file_name,text",
      "a.png,The image shows thing 0.",
    ]);
  });
});
