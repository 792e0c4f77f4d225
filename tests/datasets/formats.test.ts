/** Formats as this library reads them back, and what goes wrong in files of others. */
import { describe, expect, it } from "vitest";
import {
  dataYaml,
  guardFormula,
  type LabelledImage,
  parseCsv,
  readCoco,
  readCsv,
  readCvat,
  readDataYaml,
  readImageLines,
  readLabelStudio,
  readMetadata,
  readVoc,
  readYoloLabels,
  writeCoco,
  writeCocoResults,
  writeCsv,
  writeCvat,
  writeImageLines,
  writeLabelStudio,
  writeMetadata,
  writeParquet,
  writeVoc,
  yoloLabels,
} from "../../datasets/index.ts";
import { florenceError } from "../support/errors.ts";
import { crowded, sample, sampleClasses } from "../support/sample_data_set.ts";

const options = { classes: sampleClasses };
const textOf = (pieces: Iterable<string>) => [...pieces].join("");
const jsonOf = (pieces: Iterable<string>) => JSON.parse(textOf(pieces));

/** Of each image its file and what a format keeps of each thing. */
function expectSame(
  found: readonly LabelledImage[],
  expected: readonly LabelledImage[],
  digits: number,
  keys: readonly (keyof LabelledImage["objects"][number])[] = ["label"],
): void {
  expect(found.map(({ file }) => file)).toEqual(expected.map(({ file }) => file));
  for (const [i, { objects }] of expected.entries()) {
    expect(found[i]!.objects.length).toBe(objects.length);
    for (const [k, object] of objects.entries()) {
      const own = found[i]!.objects[k]!;
      for (const [edge, side] of object.box.entries()) expect(own.box[edge]).toBeCloseTo(side, digits);
      for (const key of keys) expect(own[key]).toEqual(object[key]);
    }
  }
}

describe("formats", () => {
  it("COCO: boxes, scores, texts, outlines; crowds and results as run lengths", () => {
    const found = readCoco(jsonOf(writeCoco(sample, options)), "coco.json");
    expectSame(found, sample, 3, ["label", "score", "text"]);
    expect(found[1]!.objects[0]!.polygons).toEqual(sample[1]!.objects[0]!.polygons);
    const [, crowd] = readCoco(jsonOf(writeCoco(crowded, options)), "coco.json");
    expect(crowd!.objects[0]).toMatchObject({ isCrowd: true, mask: { size: [48, 64] } });
    const results = readCoco(
      jsonOf(writeCoco(sample, options)),
      "coco.json",
      jsonOf(writeCocoResults(sample, options)),
    );
    expectSame(results, sample, 3, ["label", "score"]);
    const { categories } = jsonOf(writeCoco(sample, { ...options, firstCategoryId: 0 }));
    expect(categories[0].id).toBe(0);
  });

  it("COCO: errors name the file and the field", () => {
    const coco = jsonOf(writeCoco(sample, options));
    coco.annotations[0].category_id = 99;
    expect(() => readCoco(coco, "mine.json")).toThrow(
      florenceError("data_invalid", "mine.json: annotations[0].category_id is 99"),
    );
  });

  it("YOLO: boxes, outlines, oriented boxes, confidences", () => {
    for (const image of sample) {
      for (const task of ["detect", "segment", "obb"] as const) {
        const objects = readYoloLabels(yoloLabels(image, task, options), "a.txt", image, sampleClasses);
        expectSame([{ ...image, objects }], [image], 3);
      }
      const lines = yoloLabels(image, "detect", { ...options, confidenceColumn: true });
      const objects = readYoloLabels(lines, "a.txt", image, sampleClasses);
      expectSame([{ ...image, objects }], [image], 3, ["label", "score"]);
    }
  });

  it("YOLO: quads of texts come back as they were, to six decimals", () => {
    const sign = sample.at(-1)!;
    const found = readYoloLabels(yoloLabels(sign, "obb", options), "a.txt", sign, sampleClasses);
    for (const [i, { quad }] of sign.objects.entries()) {
      for (const [k, value] of quad!.entries()) expect(found[i]!.quad![k]).toBeCloseTo(value, 4);
    }
  });

  it("YOLO: classes below their number, shares from 0 to 1, else an error with file and line", () => {
    for (const line of ["9 0.5 0.5 0.1 0.1", "0 1.5 0.5 0.1 0.1", "0 0.5 0.5", "0 x 0.5 0.1 0.1"]) {
      const content = `0 0.5 0.5 0.1 0.1\n${line}\n`;
      expect(() => readYoloLabels(content, "a.txt", sample[0]!, sampleClasses)).toThrow(
        florenceError("data_invalid", "a.txt, line 2"),
      );
    }
  });

  it("YOLO: data.yaml with names that YAML would take for something else", () => {
    const yaml = dataYaml(sampleClasses, ["train", "val", "test"]);
    expect(readDataYaml(yaml, "data.yaml")).toEqual(sampleClasses);
    expect(readDataYaml("nc: 2\nnames: ['a', \"b: c\"]\n", "data.yaml")).toEqual(["a", "b: c"]);
    expect(readDataYaml("names:\n- a\n- 'it''s'\ntrain: x\n", "data.yaml")).toEqual(["a", "it's"]);
    expect(yaml).toContain("val: images/val\ntest: images/test\n");
    expect(dataYaml(["a"], ["train"])).toContain("val: images/train\n");
  });

  it("Pascal VOC: whole pixels counted from 1, inside the image", () => {
    const found = sample.map((image) => readVoc(writeVoc(image, image.file), "a.xml"));
    const whole = sample.map(({ objects, ...image }) => ({
      ...image,
      objects: objects.map(({ box, ...rest }) => ({ ...rest, box: box.map(Math.round) as typeof box })),
    }));
    expectSame(found, whole, 9);
    const edge = { ...sample[0]!, objects: [{ label: "all", box: [0, 0, 64, 48] as const }] };
    const xml = writeVoc(edge as unknown as LabelledImage, "a.png");
    expect(xml).toContain("<xmin>1</xmin><ymin>1</ymin><xmax>64</xmax><ymax>48</ymax>");
  });

  it("Label Studio and CVAT: boxes, outlines, texts", () => {
    const single = sample.filter(({ objects }) =>
      objects.every(({ polygons }) => (polygons?.length ?? 1) === 1),
    );
    const studio = readLabelStudio(jsonOf(writeLabelStudio(single, options)), "tasks.json");
    expectSame(studio, single, 2, ["label", "score", "text"]);
    const cvat = readCvat(textOf(writeCvat(single, options)), "annotations.xml");
    expectSame(cvat, single, 1, ["label", "text"]);
  });

  it("imagefolder: every line has the same members, every coordinate a decimal point", () => {
    const lines = textOf(writeMetadata(sample, options));
    expect(
      lines
        .split("\n")
        .filter(Boolean)
        .map((line) => Object.keys(JSON.parse(line))),
    ).toEqual(sample.map(() => ["file_name", "text", "objects"]));
    expect(lines).toContain('"bbox":[[3.25,4.50,16.75,26.25],[20.00,10.00,44.00,38.00]]');
    const found = readMetadata(lines, "metadata.jsonl", sampleClasses, () => ({ width: 64, height: 48 }));
    expectSame(found, sample, 2, ["label", "score"]);
  });

  it("CSV and JSON lines: everything, images without things too", () => {
    const found = readCsv(textOf(writeCsv(sample, options)), "objects.csv");
    expectSame(found, sample, 9, ["label", "score"]);
    expect(found.map(({ split }) => split)).toEqual(sample.map(({ split }) => split));
    expect(readImageLines(textOf(writeImageLines(crowded)), "images.jsonl")).toEqual(crowded);
  });

  it("CSV: quotes, line breaks, and formulas made harmless on request", () => {
    expect(parseCsv('a,"b\n""c"""\r\n1,\r\n')).toEqual([
      ["a", 'b\n"c"'],
      ["1", ""],
    ]);
    expect(["=1+1", "+1", "-1", "@x", "a=1"].map(guardFormula)).toEqual([
      "'=1+1",
      "'+1",
      "'-1",
      "'@x",
      "a=1",
    ]);
    const evil = [{ ...sample[0]!, objects: [{ ...sample[0]!.objects[0]!, label: "=cmd()" }] }];
    expect(textOf(writeCsv(evil, { guardFormulas: true }))).toContain(",'=cmd(),");
    expect(textOf(writeCsv(evil, {}))).toContain(",=cmd(),");
  });

  it("Parquet: the rows of CSV in typed columns, written by the package that is given", () => {
    let columns: { name: string; data: unknown[]; type: string }[] = [];
    writeParquet(sample, {
      parquetWriteBuffer({ columnData }) {
        columns = columnData;
        return new ArrayBuffer(4);
      },
    });
    expect(columns.map(({ name }) => name).slice(0, 3)).toEqual(["file", "label", "x1"]);
    expect(columns.find(({ name }) => name === "score")!.data).toEqual([
      ...[0.875, 0.5, 0.75, 0.625, 0.25, null, 0.9375, 0.5],
    ]);
  });
});

describe("XML of others", () => {
  it("declarations, comments, sections, entities", () => {
    const xml =
      '<?xml version="1.0"?><!-- <object> --><annotation><filename>a&amp;b&#233;.jpg</filename><folder/>' +
      "<size><width>10</width><height>20</height></size><object><name><![CDATA[a<b]]></name>" +
      "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></object></annotation>";
    expect(readVoc(xml, "a.xml")).toEqual({
      file: "a&bé.jpg",
      width: 10,
      height: 20,
      objects: [{ label: "a<b", box: [0, 0, 5, 6] }],
    });
  });

  it("broken: an error with file and line", () => {
    for (const xml of ["", "<a>", "<a>\n</b>", "</a>", "<annotation>\n<size/></annotation>"]) {
      expect(() => readVoc(xml, "bad.xml")).toThrow(florenceError("data_invalid", "bad.xml"));
    }
  });
});
