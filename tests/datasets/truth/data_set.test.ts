import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDataSet } from "../../../datasets/truth/data_set.ts";
import { florenceError } from "../../support/errors.ts";
import { openScenes } from "../../support/scenes.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "florence2-truth-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, content: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
};

describe("data sets", () => {
  it("are read from plain JSONL", async () => {
    const { images, name } = await openScenes();
    expect(name).toBe("scenes");
    expect(images.map(({ file }) => file)).toEqual(["scene.png", "scene.answer.png"]);
    expect(images[0]!.prompts).toHaveLength(17);
    expect(images[0]!.prompts[5]!.truth).toEqual({
      boxes: [
        [20, 30, 90, 100],
        [140, 60, 220, 200],
      ],
      labels: ["", ""],
    });
    const one = await openScenes({ limit: 1, task: "<OCR>" });
    expect(one.images).toEqual([{ file: "scene.png", prompts: [{ task: "<OCR>", truth: "NEW ROAD" }] }]);
  });

  it("are read from COCO's captions, in the order of ids", async () => {
    const data = write("captions.json", {
      images: [
        { id: 9, file_name: "b.jpg" },
        { id: 3, file_name: "a.jpg" },
        { id: 4, file_name: "none.jpg" },
      ],
      annotations: [
        { image_id: 9, caption: "A cat." },
        { image_id: 3, caption: "A dog." },
        { image_id: 9, caption: "One cat." },
      ],
    });
    const { images, folder: found } = await openDataSet(data);
    expect(found).toBe(folder);
    expect(images).toEqual([
      { file: "a.jpg", prompts: [{ task: "<CAPTION>", truth: ["A dog."] }] },
      { file: "b.jpg", prompts: [{ task: "<CAPTION>", truth: ["A cat.", "One cat."] }] },
    ]);
    const detailed = await openDataSet(data, { task: "<DETAILED_CAPTION>" });
    expect(detailed.images[0]!.prompts[0]!.task).toBe("<DETAILED_CAPTION>");
    await expect(openDataSet(data, { task: "<OD>" })).rejects.toEqual(
      florenceError("option_invalid", "no prompt for <OD>; it has <CAPTION>"),
    );
  });

  it("are read from COCO's instances", async () => {
    const data = write("instances.json", {
      images: [{ id: 1, file_name: "a.jpg" }],
      categories: [{ id: 18, name: "dog" }],
      annotations: [{ image_id: 1, category_id: 18, bbox: [10, 20, 30, 40], area: 900.5, iscrowd: 1 }],
    });
    expect((await openDataSet(data)).images[0]!.prompts).toEqual([
      {
        task: "<OD>",
        truth: { boxes: [[10, 20, 40, 60]], labels: ["dog"], areas: [900.5], crowds: [true] },
      },
    ]);
  });

  it("are read from Karpathy's captions, the test split", async () => {
    const image = (split: string) => ({
      filepath: "val2014",
      filename: `${split}.jpg`,
      split,
      sentences: [{ raw: "A dog." }],
    });
    const data = write("dataset_coco.json", { images: [image("val"), image("test")], dataset: "coco" });
    expect((await openDataSet(data)).images).toEqual([
      { file: "val2014/test.jpg", prompts: [{ task: "<CAPTION>", truth: ["A dog."] }] },
    ]);
  });

  const line = (prompt: unknown) => `{"file": "a.jpg", "prompts": []}\n${JSON.stringify(prompt)}\n`;
  const scene = (task: string, truth: unknown) => line({ file: "b.jpg", prompts: [{ task, truth }] });
  it.each([
    ["no JSON", "\n{'file'}", "line 2, column 2 is not valid JSON"],
    ["a list", "[1]", "line 1 is [1]. Expected an object"],
    ["no file", line({ prompts: [] }), "line 2: file is missing. Expected a text"],
    ["no prompts", line({ file: "b.jpg" }), "line 2: prompts is missing. Expected a list of prompts"],
    ["no truth", line({ file: "b.jpg", prompts: [{ task: "<OD>" }] }), "prompts[0].truth is missing"],
    ["captions in one text", scene("<CAPTION>", "a dog"), 'prompts[0].truth is "a dog". Expected a list'],
    ["no caption", scene("<CAPTION>", []), "prompts[0].truth is []. Expected one text or more"],
    [
      "three edges",
      scene("<OD>", { boxes: [[1, 2, 3]], labels: ["a"] }),
      "line 2: prompts[0].truth.boxes[0] is [1,2,3]. Expected four numbers",
    ],
    ["a box inside out", scene("<OD>", { boxes: [[9, 2, 3, 4]], labels: ["a"] }), "with x1 <= x2"],
    [
      "labels amiss",
      scene("<OD>", { boxes: [], labels: ["a"] }),
      'prompts[0].truth.labels is ["a"]. Expected 0 labels',
    ],
    [
      "an outline of two points",
      scene("<REGION_TO_SEGMENTATION>", { polygons: [[[1, 2, 3, 4]]] }),
      "prompts[0].truth.polygons[0][0] is [1,2,3,4]. Expected an even number of numbers, at least six",
    ],
    [
      "a quad of seven numbers",
      scene("<OCR_WITH_REGION>", { quads: [[1, 2, 3, 4, 5, 6, 7]], labels: ["a"] }),
      "Expected eight numbers",
    ],
  ])("with %s are refused", async (_, content, problem) => {
    const data = write("broken.jsonl", content);
    await expect(openDataSet(data)).rejects.toEqual(florenceError("data_invalid", data, problem));
  });

  it.each([
    ["an unknown image", { annotations: [{ image_id: 2, caption: "a" }] }, "annotations[0].image_id is 2"],
    [
      "an unknown category",
      { categories: [], annotations: [{ image_id: 1, category_id: 5, bbox: [0, 0, 1, 1] }] },
      "annotations[0].category_id is 5",
    ],
    ["no annotations", {}, "annotations is missing"],
  ])("of COCO with %s are refused", async (_, content, problem) => {
    const data = write("broken.json", { images: [{ id: 1, file_name: "a.jpg" }], ...content });
    await expect(openDataSet(data)).rejects.toEqual(florenceError("data_invalid", data, problem));
  });

  it("that are not there, not UTF-8 or empty are refused", async () => {
    await expect(openDataSet(join(folder, "none.jsonl"))).rejects.toEqual(florenceError("file_not_found"));
    writeFileSync(join(folder, "latin.jsonl"), Uint8Array.of(0xff));
    await expect(openDataSet(join(folder, "latin.jsonl"))).rejects.toEqual(
      florenceError("data_invalid", "not UTF-8"),
    );
    await expect(openDataSet(write("empty.jsonl", ""))).rejects.toEqual(florenceError("option_invalid"));
  });
});
