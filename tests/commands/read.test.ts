import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { read } from "../../commands/read/read.ts";
import { images, json, out, quiet, root, text } from "../support/image_folder.ts";
import { madeUp } from "../support/made_up_model.ts";

describe("florence2 read", () => {
  it("reads lines into pages of every kind", async () => {
    const args = [images, "-r", "--format", "txt,hocr,alto,page,pdf,tsv,md,csv,jsonl", "--out", out("text")];
    expect(await read([...args, ...quiet], madeUp().model)).toBe(0);
    expect(text("text", "txt", "b", "a.txt")).toBe("line 1\n");
    expect(text("text", "hocr", "e.hocr")).toContain("bbox 8 5 28 25");
    expect(
      readFileSync(join(root, "text", "pdf", "e.pdf"))
        .subarray(0, 5)
        .toString(),
    ).toBe("%PDF-");
    expect(json("text", "summary.json")).toMatchObject({ lines: 5, imagesWithoutText: 0, failed: 0 });
    expect(await read([images, "--plain", "--out", out("plain"), ...quiet], madeUp().model)).toBe(0);
    expect(text("plain", "e.txt")).toBe("The image shows thing 3.\n");
  });
});
