import { execFileSync } from "node:child_process";
import { copyFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Florence2 } from "florence2-webgpu";
import { describe, expect, it } from "vitest";
import type { Row } from "../chunk/rows.ts";
import { batch } from "../commands/batch.ts";
import { never, newFolder, resultsOf } from "./support/runs.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

describe("the bundled model", () => {
  it("answers as runBatch does, and its answers become COCO by florence2 convert", async () => {
    const folder = newFolder();
    for (const name of ["a.png", "b.png", "c.png"])
      copyFileSync(join(root, "examples/scene.png"), join(folder, name));
    const out = newFolder();
    const cli = (...args: string[]) => batch([...args, "--quiet"], never());
    await cli("plan", folder, "--task", "OD", "--out", out, "--chunk", "3", "--num-beams", "1");
    expect(await cli("work", out, "--device", "cpu")).toBe(0);
    const { rows } = await resultsOf(out);

    const model = await Florence2.fromPretrained(join(root, "checkpoints/nano"), { device: "cpu" });
    const items = ["a.png", "b.png", "c.png"].map((name) => ({
      image: join(folder, name),
      task: "<OD>" as const,
    }));
    const expected = await model.runBatch(items, { numBeams: 1 });
    await model.dispose();
    for (const [i, row] of (rows as (Row & { status: "ok" })[]).entries()) {
      const { answer, objects, tokens, score, text } = expected[i]!;
      expect(row).toMatchObject({ answer, objects, tokens, score, text });
    }

    const merged = newFolder();
    await cli("merge", out, "--to", merged);
    const target = newFolder();
    const convert = [
      "dist/cli.js",
      "convert",
      merged,
      "--format",
      "coco",
      "--images",
      folder,
      "--out",
      target,
    ];
    execFileSync(process.execPath, [...convert, "--min-score", "0"], { cwd: root });
    const [file] = readdirSync(join(target, "annotations")).filter((name) => name.startsWith("instances"));
    const coco = JSON.parse(readFileSync(join(target, "annotations", file!), "utf8"));
    expect(coco.images.map(({ file_name }: { file_name: string }) => file_name)).toEqual([
      "a.png",
      "b.png",
      "c.png",
    ]);
    expect(coco.annotations).toHaveLength(3 * expected[0]!.objects.length);
  });
});
