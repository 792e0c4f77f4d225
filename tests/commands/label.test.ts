import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { label } from "../../commands/label/label.ts";
import { draw, FILES, images, json, out, quiet, root, text } from "../support/image_folder.ts";
import { HEIGHT, madeUp, WIDTH } from "../support/made_up_model.ts";

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
