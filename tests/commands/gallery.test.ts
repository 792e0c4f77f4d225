import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { drawGallery } from "../../commands/gallery.ts";
import type { DataSet, Prompt } from "../../datasets/truth/data_set.ts";
import type { Florence2 } from "../../index.ts";
import { florenceError } from "../support/errors.ts";

const GREY = [120, 120, 120];
let images: string;
let folder: string;

beforeEach(async () => {
  images = mkdtempSync(join(tmpdir(), "florence2-gallery-"));
  folder = join(images, "gallery");
  const image = sharp({ create: { width: 96, height: 64, channels: 3, background: "#787878" } });
  const png = await image.png().toBuffer();
  for (const name of ["a.png", "b.png", "c.png", "d.png"]) writeFileSync(join(images, name), png);
});
afterEach(() => rmSync(images, { recursive: true }));

const dataSet = (prompts: readonly Prompt[], count = 4): DataSet => ({
  name: "made up",
  folder: images,
  images: ["a.png", "b.png", "c.png", "d.png"].slice(0, count).map((file) => ({ file, prompts })),
});

/** Answers every question with one answer, and keeps the questions. */
function modelThatSays(answer: unknown) {
  const asked: { image: string; task: string; text?: string }[] = [];
  const run = async (image: string, task: string, { text }: { text?: string }) => {
    asked.push({ image: image.slice(-5), task, text });
    return { answer, width: 96, height: 64 };
  };
  return { asked, model: { run } as unknown as Pick<Florence2, "run"> };
}

async function pixelOf(name: string, x: number, y: number): Promise<number[]> {
  const { data, info } = await sharp(join(folder, name)).raw().toBuffer({ resolveWithObject: true });
  return [...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3)];
}

const far = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

describe("the gallery", () => {
  it("shows two images of every task that is asked, and other ones for other tasks", async () => {
    const { asked, model } = modelThatSays("a cat");
    const prompts = [
      { task: "<OCR>", truth: "" },
      { task: "<CAPTION>", truth: [] },
    ];
    const files = await drawGallery(model, dataSet(prompts), folder);
    expect(files).toEqual(["caption_1.jpg", "caption_2.jpg", "ocr_1.jpg", "ocr_2.jpg", "overview.jpg"]);
    expect(readdirSync(folder).sort()).toEqual([...files].sort());
    expect(asked.map(({ image, task }) => [image, task])).toEqual([
      ["a.png", "<CAPTION>"],
      ["b.png", "<CAPTION>"],
      ["c.png", "<OCR>"],
      ["d.png", "<OCR>"],
    ]);
    const { width, height } = await sharp(join(folder, "caption_1.jpg")).metadata();
    expect(width).toBe(384);
    expect(height).toBeGreaterThan(256 + 16);
  });

  it("takes images twice where there are too few", async () => {
    const { asked, model } = modelThatSays("a cat");
    const prompts = ["<CAPTION>", "<OCR>"].map((task) => ({ task, truth: "" }));
    await drawGallery(model, dataSet(prompts, 3), folder);
    expect(asked.map(({ image }) => image)).toEqual(["a.png", "b.png", "c.png", "a.png"]);
  });

  it("draws the answer, the region asked about, and an overview of all", async () => {
    const { asked, model } = modelThatSays({ polygons: [[[24, 16, 72, 16, 72, 48, 24, 48]]], labels: [""] });
    const text = "<loc_100><loc_100><loc_900><loc_900>";
    await drawGallery(model, dataSet([{ task: "<REGION_TO_SEGMENTATION>", text, truth: {} }]), folder);
    expect(asked[0]!.text).toBe(text);
    // Four pixels for one of the image: the mask's middle, the dashed edge, and outside of both.
    expect(far(await pixelOf("region_to_segmentation_1.jpg", 192, 128), GREY)).toBeGreaterThan(20);
    expect(far(await pixelOf("region_to_segmentation_1.jpg", 10, 128), GREY)).toBeLessThan(8);
    const edge = await Promise.all(
      [...Array(12).keys()].map((i) => pixelOf("region_to_segmentation_1.jpg", 38, 110 + i)),
    );
    expect(Math.min(...edge.flat())).toBeLessThan(70);
    const { width } = await sharp(join(folder, "overview.jpg")).metadata();
    expect(width).toBe(8 + 2 * 328);
    expect(far(await pixelOf("overview.jpg", 8 + 160, 8 + 106), GREY)).toBeGreaterThan(20);
  });

  it("replaces the folder, but only by a whole gallery", async () => {
    mkdirSync(folder);
    writeFileSync(join(folder, "old.jpg"), "");
    const failing = { run: () => Promise.reject(new Error("no")) } as unknown as Pick<Florence2, "run">;
    const captions = dataSet([{ task: "<CAPTION>", truth: [] }]);
    await expect(drawGallery(failing, captions, folder)).rejects.toThrow("no");
    expect(readdirSync(folder)).toEqual(["old.jpg"]);
    await drawGallery(modelThatSays("a cat").model, captions, folder);
    expect(existsSync(join(folder, "old.jpg"))).toBe(false);
  });

  it("refuses a data set that asks nothing it knows", async () => {
    const nothing = dataSet([{ task: "<SOMETHING>", truth: "" }]);
    await expect(drawGallery(modelThatSays("").model, nothing, folder)).rejects.toThrow(
      florenceError("data_invalid", "made up has no prompt"),
    );
    expect(existsSync(folder)).toBe(false);
  });
});
