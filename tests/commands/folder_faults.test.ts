/** Commands over folders where inputs, outputs or options are not as they should be, or change between runs. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { caption } from "../../commands/caption/caption.ts";
import { convert } from "../../commands/convert/convert.ts";
import { lockFolder } from "../../commands/folders/lock.ts";
import { replaceFile } from "../../commands/folders/replace_file.ts";
import type { OpenModel } from "../../commands/folders/run_folder.ts";
import { label } from "../../commands/label/label.ts";
import { regions } from "../../commands/regions/regions.ts";
import { florenceError } from "../support/errors.ts";
import { contentOf, drawGrey, madeUp } from "../support/made_up_model.ts";

const FILES = ["a.png", "b/a.png", "c.jpg"];
const quiet = ["--quiet"];
const isLinux = process.platform === "linux";

let root: string;
let images: string;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "florence2-faults-"));
  images = join(root, "images");
  for (const [i, file] of FILES.entries()) await drawGrey(join(images, file), i);
});
afterEach(() => rmSync(root, { recursive: true }));

const at = (...path: string[]) => join(root, ...path);
const text = (...path: string[]) => readFileSync(at(...path), "utf8");
const errorsOf = (...path: string[]) =>
  text(...path, "errors.jsonl")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { file: string; code: string; message: string });
const never: OpenModel = async () => {
  throw new Error("a model was opened");
};

describe("an output that cannot be written", () => {
  it.runIf(isLinux)("is an error at once where no folder can be made", async () => {
    for (const out of ["/proc/x", "/proc/x/y", "/dev/null/x"]) {
      const refused = label([images, "--out", out, ...quiet], never);
      await expect(refused, out).rejects.toEqual(florenceError("file_unwritable", out));
    }
  });

  it("is an error at once where a file is in its place", async () => {
    writeFileSync(at("file"), "mine");
    for (const out of [at("file"), at("file", "below")]) {
      await expect(label([images, "--out", out, ...quiet], never)).rejects.toEqual(
        florenceError("file_unwritable", out),
      );
      const converted = convert([at("set"), "--format", "csv", "--out", out, ...quiet]);
      await expect(converted).rejects.toThrow();
    }
    expect(text("file")).toBe("mine");
  });

  it.runIf(existsSync("/dev/full"))("is an error with the reason once the disk is full", () => {
    symlinkSync("/dev/full", at("a.txt.part"));
    expect(() => replaceFile(at("a.txt"), ["text"])).toThrow(
      florenceError("file_unwritable", "a.txt", "the disk is full"),
    );
    expect(readdirSync(root)).toEqual(["images"]);
    // The next call works.
    replaceFile(at("a.txt"), ["text"]);
    expect(text("a.txt")).toBe("text");
  });

  it("has names of any length that the system takes", async () => {
    const long = `${"ä".repeat(120)}.png`;
    await drawGrey(join(images, long), 2);
    expect(await caption([images, ...quiet], madeUp().model)).toBe(0);
    expect(text("images", `${"ä".repeat(120)}.txt`)).toBe("The image shows thing 2.");
  });

  it("of one image is a line of errors.jsonl, and is written once it can be", async () => {
    mkdirSync(join(images, "c.txt"));
    expect(await caption([images, "-r", "--mode", "overwrite", ...quiet], madeUp().model)).toBe(1);
    expect(errorsOf("images", ".florence2-captions")).toMatchObject([
      { file: "c.jpg", code: "file_unreadable" },
    ]);
    expect(text("images", "b", "a.txt")).toBe("The image shows thing 1.");
    rmSync(join(images, "c.txt"), { recursive: true });
    const again = madeUp();
    expect(await caption([images, "-r", "--mode", "overwrite", ...quiet], again.model)).toBe(0);
    expect(again.asked).toEqual(["2 <MORE_DETAILED_CAPTION>"]);
    expect(text("images", "c.txt")).toBe("The image shows thing 2.");
  });

  it("belongs to one run at a time; a run that was killed holds nothing", async () => {
    mkdirSync(at("set"));
    const release = lockFolder(at("set"));
    const args = [images, "--format", "csv", "--out", at("set"), ...quiet];
    await expect(label(args, never)).rejects.toEqual(
      florenceError("file_unwritable", `process ${process.pid}`, "--out"),
    );
    release();
    const { pid } = JSON.parse(
      execFileSync(process.execPath, ["-p", "JSON.stringify({ pid: process.pid })"], { encoding: "utf8" }),
    );
    lockFolder(at("set"));
    const lock = at("set", ".florence2-lock");
    writeFileSync(lock, JSON.stringify({ ...JSON.parse(readFileSync(lock, "utf8")), pid }));
    expect(await label(args, madeUp().model)).toBe(0);
    expect(existsSync(lock)).toBe(false);
  });

  it("never takes the place of its images, and holds none for the next run", async () => {
    for (const format of ["yolo", "hf"]) {
      const own = label([images, "--format", format, "--out", images, ...quiet], never);
      await expect(own).rejects.toEqual(florenceError("option_invalid", "--in-place"));
    }
    const inside = [images, "-r", "--format", "yolo", "--out", join(images, "labels"), ...quiet];
    expect(await label(inside, madeUp().model)).toBe(0);
    const beside = [images, "-r", "--format", "csv", "--out", join(images, "more"), ...quiet];
    expect(await label(beside, madeUp().model)).toBe(0);
    expect(JSON.parse(text("images", "more", "summary.json"))).toMatchObject({ images: 3 });
  });
});

describe("inputs of every kind", () => {
  it.runIf(isLinux)("are errors of their own, or passed over, and never hold up a run", async () => {
    writeFileSync(join(images, "empty.png"), "");
    symlinkSync(images, join(images, "loop"));
    symlinkSync("nowhere.png", join(images, "broken.png"));
    symlinkSync("itself.png", join(images, "itself.png"));
    symlinkSync("c.jpg", join(images, "link.jpg"));
    mkdirSync(join(images, "folder.png"));
    execFileSync("mkfifo", [join(images, "pipe.png")]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(images, "socket.png"), resolve));
    try {
      expect(
        await label([images, "-r", "--format", "csv", "--out", at("set"), ...quiet], madeUp().model),
      ).toBe(1);
    } finally {
      server.close();
    }
    expect(errorsOf("set")).toMatchObject([{ file: "empty.png" }]);
    expect(JSON.parse(text("set", "summary.json"))).toMatchObject({ images: 5, answered: 4, failed: 1 });
    for (const file of ["pipe.png", "/dev/null"]) {
      const refused = label(
        [file === "pipe.png" ? join(images, file) : file, "--out", at("one"), ...quiet],
        never,
      );
      await expect(refused).rejects.toEqual(florenceError("option_invalid", "neither a folder nor a file"));
    }
  });

  it("in a list: whole paths too; a missing one is an error of its own, one outside is refused", async () => {
    const list = at("list.txt");
    writeFileSync(list, `\uFEFF${join(images, "c.jpg")}\r\n./b/a.png\nb/a.png\nmissing.png\nb\n`);
    const args = [images, "--file-list", list, "--format", "csv", "--out", at("set"), ...quiet];
    expect(await label(args, madeUp().model)).toBe(1);
    expect(errorsOf("set").map(({ file, code }) => [file, code])).toEqual([
      ["b", "file_unreadable"],
      ["missing.png", "file_not_found"],
    ]);
    expect(JSON.parse(text("set", "summary.json"))).toMatchObject({ images: 4, answered: 2, failed: 2 });
    writeFileSync(list, "../c.jpg\n");
    await expect(label(args, never)).rejects.toEqual(florenceError("option_invalid", "outside"));
  });
});

describe("runs with other options, or other inputs", () => {
  const content = (file: string) => text("images", file);
  const run = async (...options: string[]) => {
    const { model, asked } = madeUp();
    expect(await caption([images, ...options, ...quiet], model)).toBe(0);
    return asked.length;
  };

  it("caption what is there: append after skip, a prefix, another mode or task", async () => {
    writeFileSync(join(images, "a.txt"), "mine");
    expect(await run()).toBe(1);
    expect([content("a.txt"), content("c.txt")]).toEqual(["mine", "The image shows thing 2."]);
    // The caption of c.jpg is known; a.png was never asked.
    expect(await run("--mode", "append", "--clean")).toBe(1);
    expect(content("a.txt")).toBe("mine, thing 0.");
    expect(content("c.txt")).toBe("The image shows thing 2., thing 2.");
    expect(await run("--mode", "append", "--clean")).toBe(0);
    expect(content("a.txt")).toBe("mine, thing 0.");
    expect(await run("--mode", "overwrite", "--prefix", "pre ")).toBe(0);
    expect(content("a.txt")).toBe("pre The image shows thing 0.");
    expect(await run("--mode", "overwrite", "--task", "caption")).toBe(2);
    expect(content("a.txt")).toBe("The image shows thing 0.");
    expect(await run("--ext", "caption")).toBe(2);
    expect(content("c.caption")).toBe("The image shows thing 2.");
  });

  it("write captions again that were deleted, and leave those that were edited", async () => {
    expect(await run("--mode", "overwrite")).toBe(2);
    rmSync(join(images, "a.txt"));
    writeFileSync(join(images, "c.txt"), "edited");
    expect(await run("--mode", "overwrite")).toBe(0);
    expect([content("a.txt"), content("c.txt")]).toEqual(["The image shows thing 0.", "edited"]);
    expect(await run("--metadata", "jsonl")).toBe(0);
    expect(
      content("metadata.jsonl")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).text),
    ).toEqual(["The image shows thing 0.", "edited"]);
  });

  it("leave only the files of the last one", async () => {
    const out = ["--out", at("set"), ...quiet];
    await label([images, "-r", "--format", "coco,yolo", "--split", "0.5/0.5", ...out], madeUp().model);
    rmSync(join(images, "b"), { recursive: true });
    const { model, asked } = madeUp();
    expect(await label([images, "-r", "--format", "yolo", ...out], model)).toBe(0);
    expect(asked).toEqual([]);
    await label([images, "-r", "--format", "yolo", "--out", at("fresh"), ...quiet], madeUp().model);
    const { "answers.jsonl": answers, ...files } = contentOf(at("set"));
    expect(answers).toBeDefined();
    const { "answers.jsonl": _, ...wanted } = contentOf(at("fresh"));
    expect(files).toEqual(wanted);
    const list = ["../images/a.png", at("images", "a.png"), "answers"].map((name) => JSON.stringify(name));
    writeFileSync(at("set", ".florence2-files.jsonl"), `${list.join("\n").slice(0, -1)}\n7\n`);
    writeFileSync(at("set", "answers"), "mine");
    expect(await label([images, "-r", "--format", "csv", ...out], madeUp().model)).toBe(0);
    expect(existsSync(join(images, "a.png"))).toBe(true);
    expect(text("set", "answers")).toBe("mine");
  });

  it("ask again about boxes that have changed, and only about those", async () => {
    const boxes = at("boxes.csv");
    const args = [images, "--boxes", boxes, "--format", "csv", "--out", at("regions"), ...quiet];
    const rows = "file,label,x1,y1,x2,y2\nc.jpg,cat,1,2,30,20\nb/a.png,dog,0,0,9,9\n";
    writeFileSync(boxes, rows);
    await regions(args, madeUp().model);
    writeFileSync(boxes, rows.replace("0,0,9,9", "0,0,19,19"));
    const { model, asked } = madeUp();
    expect(await regions(args, model)).toBe(0);
    expect(asked).toEqual(["1 <REGION_TO_DESCRIPTION>"]);
    expect(text("regions", "objects.csv")).toContain("b/a.png,dog,0,0,19,19");
  });

  it("take no other file for theirs", async () => {
    mkdirSync(at("set"));
    writeFileSync(at("set", "answers.jsonl"), '{"my":"data"}\n');
    await expect(label([images, "--out", at("set"), ...quiet], never)).rejects.toEqual(
      florenceError("data_invalid", "no file of answers"),
    );
    expect(text("set", "answers.jsonl")).toBe('{"my":"data"}\n');
  });
});

describe("an ontology", () => {
  const ontology = () => at("ontology");
  const classesOf = async (content: string | Uint8Array) => {
    writeFileSync(ontology(), content);
    const out = mkdtempSync(at("set-"));
    const args = [
      images,
      "--ontology",
      ontology(),
      "--format",
      "csv",
      "--nms",
      "none",
      "--out",
      out,
      ...quiet,
    ];
    expect(await label(args, madeUp().model)).toBe(0);
    return JSON.parse(readFileSync(join(out, "summary.json"), "utf8")).classes;
  };

  it("has the forms that people write", async () => {
    expect(await classesOf("---\n# animals\n- cat\n- 'a dog'\n")).toEqual({ cat: 2, "a dog": 2 });
    expect(await classesOf('\uFEFFkitten: cat # small\n"a:b" : "c#d"\ncow:\n')).toEqual({
      cat: 2,
      "c#d": 2,
      cow: 2,
    });
    expect(await classesOf('{"kitten":"cat","cow":{"minScore":0.99}}')).toEqual({ cat: 2, cow: 0 });
    expect(await classesOf('["cat",{"prompt":"a dog","label":"dog"}]')).toEqual({ cat: 2, dog: 2 });
  });

  it("with a mistake is an error that names the place, before a model is opened", async () => {
    const refused = async (content: string | Uint8Array, ...hints: string[]) => {
      writeFileSync(ontology(), content);
      const run = label([images, "--ontology", ontology(), "--out", at("set"), ...quiet], never);
      await expect(run, String(content)).rejects.toEqual(florenceError("data_invalid", ...hints));
    };
    await refused('{"cat":{"minscore":0.5}}', '"minscore"', "did you mean minScore");
    await refused('{"cat":{"minScore":5}}', "cat", "minScore");
    await refused('{"cat":["dog"]}', "an object");
    await refused('{"cat":""}', "empty class", "cat");
    await refused('["cat","Cat"]', "twice");
    await refused('{"cat":"dog"', "JSON");
    await refused("cat:\n  minScore: 0.5\n", "line 2", "JSON");
    await refused("cat: dog: cow\n: dog\n", "line");
    await refused("# nothing\n", "no prompts");
    await refused(Buffer.from("\uFEFFcat", "utf16le"), "UTF-8");
    rmSync(ontology());
    mkdirSync(ontology());
    await expect(label([images, "--ontology", ontology(), ...quiet], never)).rejects.toEqual(
      florenceError("file_unreadable", "EISDIR"),
    );
  });
});
