/**
 * Formats as the programs read them that people use (tests/reference/data_sets.py). With FLORENCE2_DATA_SETS=FOLDER
 * this test writes the files there for those programs.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { areaOf, boundsOf, type LabelledImage, linesOf, maskOf } from "../../datasets/index.ts";
import { sample, sampleFiles, samplePng } from "../support/sample_data_set.ts";

const READ_BACK = fileURLToPath(new URL("../fixtures/datasets/read_back.json", import.meta.url));

interface Objects {
  readonly label: string;
  readonly box: readonly number[];
  readonly score?: number;
  readonly area?: number;
  readonly text?: string;
  readonly size?: readonly number[];
  readonly split?: string;
}
interface ReadBack {
  /** SHA-256 of each file that was read. */
  readonly files: Record<string, string>;
  /** What each program found, by image. */
  readonly objects: Record<string, Record<string, Objects[]>>;
  readonly texts: Record<string, string[]>;
  readonly valid: Record<string, boolean | string>;
  readonly pdf: { readonly text: string; readonly places: { text: string; x: number; y: number }[] };
  readonly coco: { readonly evaluated: number[]; readonly areas: Record<string, number[]> };
  readonly masks: Record<string, number>;
}

const written = new Map<string, Uint8Array>();
beforeAll(async () => {
  for await (const { path, content } of sampleFiles()) {
    if (content instanceof Uint8Array) written.set(path, content);
    else if ("image" in content) written.set(path, await samplePng());
    else written.set(path, new TextEncoder().encode([...content].join("")));
  }
  const folder = process.env.FLORENCE2_DATA_SETS;
  for (const [path, bytes] of folder ? written : []) {
    mkdirSync(dirname(join(folder!, path)), { recursive: true });
    writeFileSync(join(folder!, path), bytes);
  }
});

const { files, objects, texts, valid, pdf, coco, masks } = JSON.parse(
  readFileSync(READ_BACK, "utf8"),
) as ReadBack;
/** What each program rounds to, in pixels. */
const PRECISION: Readonly<Record<string, number>> = { "supervision voc": 0.5, "label-studio-sdk": 0.02 };

const wanted = (image: LabelledImage, program: string): Objects[] =>
  image.objects.flatMap(({ label, box, polygons, text }) =>
    // CVAT and Label Studio have a shape for each ring.
    polygons && polygons.length > 1 && /cvat|label/.test(program)
      ? polygons.map((ring) => ({ label, box: boundsOf(ring) }))
      : [{ label, box, text }],
  );

describe("formats read back", () => {
  it("are the files that the programs read", () => {
    for (const [path, sha256] of Object.entries(files)) {
      const bytes = written.get(path);
      expect(bytes, path).toBeDefined();
      expect(createHash("sha256").update(bytes!).digest("hex"), path).toBe(sha256);
    }
    expect(Object.keys(files).length).toBeGreaterThan(40);
  });

  for (const [program, images] of Object.entries(objects)) {
    it(`by ${program}: the same labels and boxes`, () => {
      for (const [name, found] of Object.entries(images)) {
        const image = sample.find(({ file }) => file === decodeURIComponent(name));
        expect(image, name).toBeDefined();
        const expected = wanted(image!, program);
        expect(found.map(({ label }) => label)).toEqual(expected.map(({ label }) => label));
        for (const [i, { box, text }] of expected.entries()) {
          for (const [k, side] of box.entries()) {
            const off = Math.abs(found[i]!.box[k]! - side);
            expect(off, `${name} ${i} ${k}`).toBeLessThanOrEqual(PRECISION[program] ?? 0.001);
          }
          if (found[i]!.text !== undefined) expect(found[i]!.text).toBe(text);
        }
      }
      expect(Object.keys(images).length).toBeGreaterThanOrEqual(3);
    });
  }

  it("by pycocotools: areas of outlines within a pixel of those of its masks' outlines, results found in full", () => {
    expect(coco.evaluated).toEqual([1, 1]);
    for (const image of sample) {
      for (const [i, object] of image.objects.entries()) {
        const theirs = coco.areas[image.file]![i]!;
        if (theirs >= 0) expect(Math.abs(areaOf(object, image) - theirs) / theirs).toBeLessThan(0.01);
      }
    }
    expect(coco.areas["crowd.png"]![0]).toBe(coco.areas["crowd.png"]![1]);
  });

  it("as Parquet: sizes, parts and confidences too", () => {
    for (const { file, width, height, split, objects: things } of sample) {
      const own = objects.pyarrow![file]!.map(({ score, size, split: part }) => ({ score, size, part }));
      expect(own).toEqual(things.map(({ score }) => ({ score, size: [width, height], part: split })));
    }
  });

  it("as pages: valid, with the text in reading order", () => {
    expect(valid).toEqual({ "hocr-check": true, "alto schema": true, "page schema": true });
    const lines = linesOf(sample.at(-1)!).map(({ text }) => text);
    for (const kind of ["hocr", "alto", "page"]) expect(texts[kind]).toEqual(lines);
    for (const { file, text } of sample) {
      expect(texts[`datasets ${file}`]).toEqual([text ?? ""]);
      expect(texts[`pyarrow ${file}`]).toEqual([text ?? ""]);
    }
  });

  it("as PDF: by pypdf the text, each line where its quad begins", () => {
    const lines = linesOf(sample.at(-1)!);
    expect(pdf.text.split("\n")).toEqual(lines.map(({ text }) => text));
    for (const [i, { text, x, y }] of pdf.places.entries()) {
      const { width, height } = sample.at(-1)!;
      const [left, bottom] = lines[i]!.quad.slice(6, 8) as [number, number];
      expect(text).toBe(lines[i]!.text);
      expect(Math.abs(x / 0.75 - left) / width).toBeLessThan(0.02);
      expect(Math.abs(height - y / 0.75 - bottom) / height).toBeLessThan(0.02);
    }
  });

  it("as masks: as many pixels as pycocotools counts", () => {
    for (const { file, split, objects: things, width, height } of sample) {
      for (const [i, thing] of things.entries()) {
        const own = Object.entries(masks).find(([name]) =>
          name.startsWith(`masks/${split}/masks/${file.replace(/\.\w+$/, "")}_00${i}`),
        );
        expect(own?.[1], file).toBe(maskOf(thing, { width, height }).reduce((sum, pixel) => sum + pixel, 0));
      }
    }
  });
});
