/** Commands over folders with a made-up model: what is asked, what is written, what survives a stop. */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { caption } from "../../commands/caption/caption.ts";
import { convert } from "../../commands/convert/convert.ts";
import { label } from "../../commands/label/label.ts";
import { read } from "../../commands/read/read.ts";
import { regions } from "../../commands/regions/regions.ts";
import { florenceError } from "../support/errors.ts";
import { contentOf, drawGrey, HEIGHT, madeUp, WIDTH } from "../support/made_up_model.ts";

/** Two of one name, a space, other letters, capitals in the ending: names that get lost elsewhere. */
const FILES = ["a.png", "b/a.png", "b/c d/käse.PNG", "e.jpg", "f.webp"];

let root: string;
let images: string;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "florence2-folders-"));
  images = join(root, "images");
  for (const [i, file] of FILES.entries()) await draw(file, i);
});
afterEach(() => rmSync(root, { recursive: true }));

const draw = (file: string, index: number, orientation?: number) =>
  drawGrey(join(images, file), index, orientation);
const json = (...path: string[]) => JSON.parse(readFileSync(join(root, ...path), "utf8"));
const text = (...path: string[]) => readFileSync(join(root, ...path), "utf8");
const out = (name: string) => join(root, name);
const quiet = ["--progress", "none"];

describe("florence2 label", () => {
  it("asks for each class about an image seen once, and writes several formats from one run", async () => {
    const { model, asked, held } = madeUp();
    const formats = "coco,yolo,yolo-seg,yolo-obb,voc,labelstudio,cvat,hf,csv,jsonl,masks,masks-index";
    const args = [
      images,
      "-r",
      "--classes",
      "cat,dog",
      "--format",
      formats,
      "--nms",
      "none",
      "--out",
      out("set"),
    ];
    expect(await label([...args, ...quiet], model)).toBe(0);
    expect(held()).toBe(0);
    expect(asked.filter((question) => question.startsWith("2"))).toEqual([
      "2 <OPEN_VOCABULARY_DETECTION> cat",
      "2 <OPEN_VOCABULARY_DETECTION> dog",
    ]);
    const coco = json("set", "coco", "annotations", "instances.json");
    expect(coco.images.map(({ file_name }: { file_name: string }) => file_name)).toEqual(FILES);
    expect(coco.categories.map(({ id, name }: { id: number; name: string }) => [id, name])).toEqual([
      [1, "cat"],
      [2, "dog"],
    ]);
    expect(coco.annotations).toHaveLength(10);
    expect(coco.annotations[2]).toMatchObject({
      image_id: 2,
      category_id: 1,
      bbox: [6, 5, 20, 20],
      score: 0.96,
    });
    expect(text("set", "yolo", "labels", "train", "b", "c d", "käse.txt")).toContain("0 0.283333 0.375000");
    expect(existsSync(join(root, "set", "yolo", "images", "train", "b", "c d", "käse.PNG"))).toBe(true);
    expect(json("set", "summary.json")).toMatchObject({ images: 5, answered: 5, failed: 0, objects: 10 });
  });

  it("maps prompts to classes and has thresholds for each", async () => {
    const ontology = join(root, "classes.json");
    writeFileSync(
      ontology,
      JSON.stringify({ kitten: "cat", cat: "cat", cow: { label: "cow", minScore: 0.97 } }),
    );
    const args = [images, "--ontology", ontology, "--out", out("set"), "--format", "csv"];
    expect(await label([...args, ...quiet], madeUp().model)).toBe(0);
    // Both prompts find the same box of one class: one stays.
    expect(json("set", "summary.json").classes).toEqual({ cat: 3, cow: 0 });
    writeFileSync(ontology, "# prompts\nkitten: cat\n'a dog': dog\n");
    const lines = [images, "--ontology", ontology, "--out", out("lines"), "--format", "csv", "--nms", "none"];
    expect(await label([...lines, ...quiet], madeUp().model)).toBe(0);
    expect(json("lines", "summary.json").classes).toEqual({ cat: 3, dog: 3 });
  });

  it("asks for outlines of what it keeps, and about tiles", async () => {
    const { model, asked } = madeUp();
    const args = [images, "--task", "od", "--seg", "--format", "yolo-seg", "--out", out("set")];
    expect(await label([...args, ...quiet], model)).toBe(0);
    expect(asked.filter((question) => question.includes("SEGMENTATION"))).toHaveLength(3);
    expect(text("set", "labels", "train", "a.txt").trim().split(" ")).toHaveLength(7);
    const tiled = madeUp();
    const tiles = [
      images,
      "--tile",
      "40",
      "--overlap",
      "0",
      "--format",
      "csv",
      "--nms",
      "none",
      "--out",
      out("tiles"),
    ];
    expect(await label([...tiles, ...quiet], tiled.model)).toBe(0);
    expect(tiled.asked.filter((question) => question.startsWith("0"))).toHaveLength(3);
    expect(text("tiles", "objects.csv")).toContain("a.png,thing,25,5,45,25,0.96,60,40");
  });

  it("splits, previews, and says what it would do", async () => {
    const args = [
      images,
      "-r",
      "--format",
      "coco",
      "--split",
      "0.6/0.4",
      "--preview",
      "2",
      "--out",
      out("set"),
    ];
    expect(await label([...args, ...quiet], madeUp().model)).toBe(0);
    expect(json("set", "annotations", "instances_train.json").images).toHaveLength(3);
    expect(text("set", "preview.html").match(/<figure>/g)).toHaveLength(2);
    expect(text("set", "preview.html")).toContain('src="../images/a.png"');
    const { model, asked } = madeUp();
    expect(await label([images, "--dry-run", "--out", out("dry")], model)).toBe(0);
    expect([asked.length, existsSync(out("dry"))]).toEqual([0, false]);
  });

  it("puts images into the data set as asked; EXIF 1 to 8 upright", async () => {
    for (let orientation = 1; orientation <= 8; orientation++) {
      await draw(`turned/${orientation}.jpg`, 3, orientation);
    }
    const args = [join(images, "turned"), "--format", "yolo", "--out", out("set")];
    expect(await label([...args, ...quiet], madeUp().model)).toBe(0);
    const labels = new Set<string>();
    for (let orientation = 1; orientation <= 8; orientation++) {
      labels.add(text("set", "labels", "train", `${orientation}.txt`));
      const {
        width,
        height,
        orientation: left = 1,
      } = await sharp(join(root, "set", "images", "train", `${orientation}.jpg`)).metadata();
      expect([width, height, left]).toEqual([WIDTH, HEIGHT, 1]);
    }
    expect([...labels]).toEqual(["0 0.300000 0.375000 0.333333 0.500000\n"]);
    for (const way of ["symlink", "hardlink", "in-place"]) {
      const other = [join(images, "turned"), "--format", "yolo", `--${way}`, "--out", out(way)];
      expect(await label([...other, ...quiet], madeUp().model)).toBe(0);
      expect(existsSync(join(root, way, "images", "train", "3.jpg"))).toBe(way !== "in-place");
    }
  });
});

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

describe("florence2 read, regions and convert", () => {
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

  it("asks about given boxes and gives them back with what is in them", async () => {
    const boxes = join(root, "boxes.csv");
    writeFileSync(
      boxes,
      "file,label,x1,y1,x2,y2\ne.jpg,cat,1,2,30,20\nb/a.png,dog,0,0,9,9\nb/a.png,dog,5,5,20,20\n",
    );
    const { model, asked } = madeUp();
    const args = [images, "--boxes", boxes, "--format", "csv", "--out", out("regions")];
    expect(await regions([...args, ...quiet], model)).toBe(0);
    expect(asked).toHaveLength(3);
    const rows = text("regions", "objects.csv").split("\r\n");
    expect(rows[1]).toBe("b/a.png,dog,0,0,9,9,,60,40,The image shows thing 1.,");
    expect(rows).toHaveLength(5);
    const outlines = [images, "--boxes", boxes, "--task", "segmentation", "--out", out("outlines"), ...quiet];
    expect(await regions(outlines, madeUp().model)).toBe(0);
    const { annotations } = json("outlines", "annotations", "instances.json");
    expect(annotations[2].segmentation).toEqual([[8, 5, 28, 5, 8, 25]]);
  });

  it("converts the answers of a run into the files that the run would have written", async () => {
    const boxes = join(root, "boxes.csv");
    writeFileSync(boxes, "file,label,x1,y1,x2,y2\ne.jpg,cat,1,2,30,20\n");
    const ontology = join(root, "classes.json");
    writeFileSync(ontology, JSON.stringify({ dog: "pet", cat: "pet", cow: { minScore: 0.97 } }));
    for (const [name, run] of Object.entries({
      asked: (...more: string[]) => label([images, "--ontology", ontology, ...more], madeUp().model),
      found: (...more: string[]) => label([images, "-r", "--task", "dense", ...more], madeUp().model),
      category: (...more: string[]) =>
        regions([images, "--boxes", boxes, "--task", "category", ...more], madeUp().model),
    })) {
      await run("--format", "yolo", "--out", out(name), ...quiet);
      await run("--format", "coco", "--out", out(`${name} coco`), ...quiet);
      expect(
        await convert([out(`${name} coco`), "--format", "yolo", "--out", out(`${name} made`), "-q"]),
      ).toBe(0);
      const { "answers.jsonl": _, "summary.json": __, ...wanted } = contentOf(out(name));
      expect(contentOf(out(`${name} made`)), name).toEqual(wanted);
    }
  });

  it("converts the answers of a run, and formats into one another, without loss of boxes", async () => {
    const args = [
      images,
      "-r",
      "--classes",
      "cat,dog",
      "--nms",
      "none",
      "--format",
      "coco",
      "--out",
      out("set"),
    ];
    await label([...args, ...quiet], madeUp().model);
    const all = ["--images", images, "-q"];
    expect(
      await convert([out("set"), "--format", "coco", "--out", out("again"), ...all, "--classes", "cat,dog"]),
    ).toBe(0);
    const astray = convert([out("set"), "--images", root, "--format", "yolo", "--out", out("astray"), "-q"]);
    await expect(astray).rejects.toEqual(florenceError("file_not_found", "--images"));
    expect(json("again", "annotations", "instances.json")).toEqual(
      json("set", "annotations", "instances.json"),
    );
    const boxes = (name: string) => {
      // YOLO has no data set without parts.
      const file = name.startsWith("yolo") ? "instances_train.json" : "instances.json";
      const { annotations, images: list, categories } = json(name, "annotations", file);
      return annotations
        .map(({ bbox, image_id, category_id }: { bbox: number[]; image_id: number; category_id: number }) =>
          [list[image_id - 1].file_name, categories[category_id - 1].name, ...bbox.map(Math.round)].join(" "),
        )
        .sort();
    };
    for (const format of ["yolo", "voc", "labelstudio", "cvat", "hf", "csv", "jsonl"]) {
      await convert([
        join(out("set"), "annotations"),
        "--from",
        "coco",
        "--format",
        format,
        "--out",
        out(format),
        ...all,
      ]);
      await convert([out(format), "--format", "coco", "--out", out(`${format} back`), ...all]);
      expect(boxes(`${format} back`), format).toEqual(boxes("set"));
    }
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
