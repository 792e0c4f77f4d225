/** Commands over folders with a made-up model: what is asked, and what survives a stop. */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { caption } from "../../commands/caption/caption.ts";
import { convert } from "../../commands/convert/convert.ts";
import { label } from "../../commands/label/label.ts";
import { read } from "../../commands/read/read.ts";
import { regions } from "../../commands/regions/regions.ts";
import { florenceError } from "../support/errors.ts";
import { draw, FILES, images, json, out, quiet, root, text } from "../support/image_folder.ts";
import { contentOf, madeUp } from "../support/made_up_model.ts";

describe("a run over a folder", () => {
  const args = () => [images, "-r", "--classes", "cat,dog", "--format", "coco,yolo", "--batch", "2"];

  it("goes on where it was stopped, to the same bytes, and asks nothing again", async () => {
    const whole = madeUp();
    await label([...args(), "--out", out("whole"), ...quiet], whole.model);
    const wanted = contentOf(out("whole"));
    for (let patience = 0; patience < whole.asked.length; patience += 2) {
      const folder = out(`stopped ${patience}`);
      const first = madeUp({ patience });
      await expect(label([...args(), "--out", folder, ...quiet], first.model)).rejects.toThrow(
        "pulled the plug",
      );
      expect(first.held()).toBe(0);
      const second = madeUp();
      expect(await label([...args(), "--out", folder, ...quiet], second.model)).toBe(0);
      expect([...first.asked, ...second.asked]).toEqual(whole.asked);
      expect(contentOf(folder)).toEqual(wanted);
    }
  });

  it("warns that the bundled model knows no photographs, once, with the remedy", async () => {
    const stderr = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const asks = (...more: string[]) =>
      label([...args(), "--out", out("set"), "--progress", "none", ...more], madeUp().model);
    const warnings = () =>
      stderr.mock.calls.filter(([line]) => /drawn scenes|--model base/.test(String(line)));
    try {
      await asks("--restart", "--model", root);
      expect(warnings()).toEqual([]);
      await asks("--restart");
      expect(warnings().map(([line]) => line)).toEqual([
        expect.stringContaining("about a photograph its answers are wrong"),
        expect.stringContaining(
          `florence2 label ${images} [options] --model base    (downloads 0.5 GB, once)`,
        ),
      ]);
      await asks();
      expect(warnings()).toHaveLength(2);
    } finally {
      stderr.mockRestore();
    }
  });

  it("survives half a line, wherever it breaks off", async () => {
    await label([...args(), "--out", out("whole"), ...quiet], madeUp().model);
    const wanted = contentOf(out("whole"));
    const log = join(out("whole"), "answers.jsonl");
    const { length } = readFileSync(log);
    for (const share of [0, 0.02, 0.2, 0.5, 0.93, 0.999]) {
      truncateSync(log, Math.floor(share * length));
      expect(await label([...args(), "--out", out("whole"), ...quiet], madeUp().model)).toBe(0);
      expect(contentOf(out("whole"))).toEqual(wanted);
    }
  });

  it("makes a bad file one line of errors.jsonl, and answers it once it is mended", async () => {
    writeFileSync(join(images, "bad.jpg"), "no image");
    const broken = madeUp();
    expect(await label([...args(), "--out", out("set"), ...quiet], broken.model)).toBe(1);
    const error = JSON.parse(text("set", "errors.jsonl"));
    expect(error).toMatchObject({ file: "bad.jpg", code: "image_unsupported" });
    expect(json("set", "summary.json")).toMatchObject({ images: 6, answered: 5, failed: 1 });
    await draw("bad.jpg", 4);
    const mended = madeUp();
    expect(await label([...args(), "--out", out("set"), ...quiet], mended.model)).toBe(0);
    expect(mended.asked).toHaveLength(2);
    await label([...args(), "--out", out("fresh"), ...quiet], madeUp().model);
    expect(contentOf(out("set"))).toEqual(contentOf(out("fresh")));
  });

  it("gives up the image whose question fails, not those beside it", async () => {
    const { model, asked } = madeUp({ refuse: "dog" });
    expect(await label([...args(), "--out", out("set"), ...quiet], model)).toBe(1);
    expect(text("set", "errors.jsonl").trim().split("\n")).toHaveLength(5);
    expect(asked.length).toBeGreaterThan(0);
    const one = [images, "--classes", "cat", "--out", out("one"), "--format", "csv"];
    expect(await label([...one, ...quiet], madeUp({ refuse: "dog" }).model)).toBe(0);
  });

  it.each(["gpu_lost", "cpu_failed"] as const)(
    "ends when its device is lost (%s): no image is at fault",
    async (refusal) => {
      const lost = label(
        [...args(), "--out", out("set"), ...quiet],
        madeUp({ refuse: "dog", refusal }).model,
      );
      await expect(lost).rejects.toEqual(florenceError(refusal));
      expect(existsSync(join(out("set"), "errors.jsonl"))).toBe(false);
      expect(await label([...args(), "--out", out("set"), ...quiet], madeUp().model)).toBe(0);
    },
  );

  it("answers a file again that has changed, and keeps answers of other options apart", async () => {
    await label([...args(), "--out", out("set"), ...quiet], madeUp().model);
    await draw("a.png", 7);
    appendFileSync(join(images, "a.png"), "more");
    const again = madeUp();
    expect(await label([...args(), "--out", out("set"), ...quiet], again.model)).toBe(0);
    expect(again.asked).toEqual(["7 <OPEN_VOCABULARY_DETECTION> cat", "7 <OPEN_VOCABULARY_DETECTION> dog"]);
    const other = [images, "-r", "--classes", "cow", "--out", out("set"), ...quiet];
    await expect(label(other, madeUp().model)).rejects.toEqual(florenceError("data_invalid", "--restart"));
    expect(await label([...other, "--restart"], madeUp().model)).toBe(0);
  });

  it("answers a file again that was edited to the same size, and none that was copied", async () => {
    const ask = async () => {
      const { model, asked } = madeUp();
      expect(await label([...args(), "--out", out("set"), ...quiet], model)).toBe(0);
      return asked;
    };
    const size = () => statSync(join(images, "a.png")).size;
    await ask();
    const before = size();
    await draw("a.png", 7);
    expect(size()).toBe(before);
    // A date to the millisecond may not have changed by now.
    utimesSync(join(images, "a.png"), 1e9, 1e9);
    expect(await ask()).toEqual(["7 <OPEN_VOCABULARY_DETECTION> cat", "7 <OPEN_VOCABULARY_DETECTION> dog"]);
    for (const file of FILES) utimesSync(join(images, file), 2e9, 2e9);
    expect(await ask()).toEqual([]);
    const lines = text("set", "answers.jsonl").trim().split("\n").slice(1);
    expect(lines.map((line) => JSON.parse(line).modified)).toEqual(FILES.map(() => 2e12));
    await label([...args(), "--out", out("fresh"), ...quiet], madeUp().model);
    expect(contentOf(out("set"))).toEqual(contentOf(out("fresh")));
  });

  it("goes on with answers that say nothing of an image's date", async () => {
    await label([...args(), "--out", out("set"), ...quiet], madeUp().model);
    const early = text("set", "answers.jsonl").replaceAll(/"modified":\d+,"sha256":"\w+",/g, "");
    expect(early).not.toContain("modified");
    writeFileSync(join(out("set"), "answers.jsonl"), early);
    const again = madeUp();
    expect(await label([...args(), "--out", out("set"), ...quiet], again.model)).toBe(0);
    expect(again.asked).toEqual([]);
    expect(text("set", "answers.jsonl")).toBe(early);
  });

  it("begins anew over a file without answers, whatever was asked there before", async () => {
    const noModel = async () => {
      throw new Error("no such model");
    };
    const typo = [images, "--model", "bas", "--out", out("set"), ...quiet];
    await expect(label(typo, noModel)).rejects.toThrow("no such model");
    expect(await label([images, "--out", out("set"), ...quiet], madeUp().model)).toBe(0);
  });

  it("takes no copies of its own for images", async () => {
    const inside = [images, "-r", "--format", "yolo", "--out", join(images, "set"), ...quiet];
    expect(await label(inside, madeUp().model)).toBe(0);
    const again = madeUp();
    expect(await label(inside, again.model)).toBe(0);
    expect(again.asked).toEqual([]);
    expect(json("images", "set", "summary.json")).toMatchObject({ images: 5 });
  });

  it("answers BMP, which sharp does not know", async () => {
    const bmp = fileURLToPath(new URL("../fixtures/pictures/kinds/windows.bmp", import.meta.url));
    copyFileSync(bmp, join(images, "g.bmp"));
    expect(
      await read(
        [join(images, "g.bmp"), "--format", "txt,pdf", "--out", out("bmp"), ...quiet],
        madeUp().model,
      ),
    ).toBe(0);
    expect(existsSync(join(root, "bmp", "pdf", "g.pdf"))).toBe(true);
  });

  it("refuses bad options before a model is opened", async () => {
    const never = async () => {
      throw new Error("opened");
    };
    for (const [options, hint] of [
      [["--format", "cocoo"], "did you mean coco"],
      [["--classes", "a", "--task", "od"], "--task"],
      [["--min-score", "2"], "0 to 1"],
      [["--split", "0.5"], "add up to 1"],
      [["--glob", "*.gif"], "no image"],
      [["--copy", "--symlink"], "--symlink"],
      [["--device", "gpuu"], "did you mean gpu"],
      [["--dtype", "f61"], "f16"],
      [["--threads", "0"], "at least 1"],
    ] as const) {
      const refused = label([images, "--out", out("set"), ...options], never);
      await expect(refused, options.join(" ")).rejects.toEqual(florenceError("option_invalid", hint));
    }
    await expect(label([join(root, "nowhere")], never)).rejects.toEqual(florenceError("file_not_found"));
  });
});

describe("help", () => {
  it("of each command lists every option that it takes", async () => {
    const commands = { label, caption, read, regions, convert };
    for (const [name, run] of Object.entries(commands)) {
      const source = readFileSync(new URL(`../../commands/${name}/${name}.ts`, import.meta.url), "utf8");
      const written: string[] = [];
      const write = process.stdout.write;
      process.stdout.write = ((piece: string) => written.push(piece)) as unknown as typeof write;
      await run(["--help"]).finally(() => {
        process.stdout.write = write;
      });
      const help = written.join("");
      expect(help).toContain(`florence2 ${name} `);
      for (const [, option] of source.matchAll(/^ {2}"?([\w-]+)"?: \{ type:/gm))
        expect(help, name).toContain(`--${option}`);
    }
  });
});
