import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { convert } from "../../commands/convert/convert.ts";
import { label } from "../../commands/label/label.ts";
import { regions } from "../../commands/regions/regions.ts";
import { florenceError } from "../support/errors.ts";
import { images, json, out, quiet, root } from "../support/image_folder.ts";
import { contentOf, madeUp } from "../support/made_up_model.ts";

describe("florence2 convert", () => {
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
